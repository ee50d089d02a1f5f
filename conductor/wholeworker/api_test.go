package wholeworker

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

const (
	pollPause = 150 * time.Millisecond
	// settleTime bounds how long a node may take from one stable state to the next. The machine may be busy with other tests.
	settleTime = 2 * time.Minute
	// retryPause and retryTime are how a client treats a busy conductor: openstack's tries again in the same way.
	retryPause = 500 * time.Millisecond
	retryTime  = 2 * time.Minute
)

// api speaks to ironic-api as clients do.
type api struct {
	base   string
	client *http.Client
}

func newAPI(base string) *api {
	return &api{base: base, client: &http.Client{
		Timeout:   90 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: 4},
	}}
}

// node is what the tests look at of a node.
type node struct {
	UUID               string         `json:"uuid"`
	Name               string         `json:"name"`
	ProvisionState     string         `json:"provision_state"`
	TargetState        string         `json:"target_provision_state"`
	PowerState         string         `json:"power_state"`
	LastError          string         `json:"last_error"`
	Reservation        string         `json:"reservation"`
	Maintenance        bool           `json:"maintenance"`
	InstanceInfo       map[string]any `json:"instance_info"`
	DriverInternalInfo map[string]any `json:"driver_internal_info"`
	DeployStep         map[string]any `json:"deploy_step"`
	CleanStep          map[string]any `json:"clean_step"`
}

// refused is an answer other than a success.
type refused struct {
	request string
	status  int
	fault   string
}

func (r *refused) Error() string { return fmt.Sprintf("%s: HTTP %d: %s", r.request, r.status, r.fault) }

// statusOf returns the HTTP status in an error of the api, 0 when there is none.
func statusOf(err error) int {
	var r *refused
	if errors.As(err, &r) {
		return r.status
	}
	return 0
}

// once sends one request and decodes the answer into result, unless that is nil.
func (a *api) once(ctx context.Context, method, path string, body, result any) error {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, a.base+path, content)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	request.Header.Set("X-OpenStack-Ironic-API-Version", "latest")
	response, err := a.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return &refused{method + " " + path, response.StatusCode, faultOf(text)}
	}
	if result == nil {
		return nil
	}
	if err := json.Unmarshal(text, result); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// faultOf reads ironic's error answers, in which error_message is an object or a text that holds one.
func faultOf(body []byte) string {
	var outer struct {
		Message json.RawMessage `json:"error_message"`
	}
	if json.Unmarshal(body, &outer) != nil || len(outer.Message) == 0 {
		return string(body)
	}
	inner := []byte(outer.Message)
	var text string
	if json.Unmarshal(inner, &text) == nil {
		inner = []byte(text)
	}
	var fault struct {
		Text string `json:"faultstring"`
	}
	if json.Unmarshal(inner, &fault) != nil || fault.Text == "" {
		return string(inner)
	}
	return fault.Text
}

// do is once for a client that is patient with locked nodes and busy conductors.
func (a *api) do(ctx context.Context, method, path string, body, result any) error {
	for began := time.Now(); ; {
		err := a.once(ctx, method, path, body, result)
		busy := statusOf(err) == http.StatusConflict || statusOf(err) == http.StatusServiceUnavailable
		if !busy || time.Since(began) > retryTime {
			return err
		}
		if err := pause(ctx, retryPause); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func (a *api) node(ctx context.Context, uuid string) (node, error) {
	var n node
	return n, a.do(ctx, http.MethodGet, "/v1/nodes/"+uuid, nil, &n)
}

// provision asks for a change of provision state.
func (a *api) provision(ctx context.Context, uuid, verb string) error {
	return a.do(ctx, http.MethodPut, "/v1/nodes/"+uuid+"/states/provision", map[string]any{"target": verb}, nil)
}

// change is one operation of a JSON patch.
type change struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

func set(path string, value any) change { return change{"add", path, value} }

func (a *api) patch(ctx context.Context, uuid string, changes ...change) error {
	return a.do(ctx, http.MethodPatch, "/v1/nodes/"+uuid, changes, nil)
}

// transient are the states that a node leaves by itself.
var transient = []string{"verifying", "cleaning", "clean wait", "deploying", "wait call-back", "deleting", "rescuing", "rescue wait",
	"unrescuing", "servicing", "service wait", "inspecting", "inspect wait"}

// settle waits until a node is in a state that it does not leave by itself, and nobody holds it.
func (a *api) settle(ctx context.Context, uuid string) (node, error) {
	return a.await(ctx, uuid, "a stable state", func(n node) bool {
		return !slices.Contains(transient, n.ProvisionState) && n.Reservation == ""
	})
}

func (a *api) await(ctx context.Context, uuid, what string, reached func(node) bool) (node, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var last node
	for {
		n, err := a.node(ctx, uuid)
		switch {
		case err == nil && reached(n):
			return n, nil
		case err == nil:
			last = n
		case ctx.Err() == nil:
			return n, err
		}
		if err := pause(ctx, pollPause); err != nil {
			return last, fmt.Errorf("node %s did not reach %s in time: it is %q, target %q, reserved by %q, last error %q",
				uuid, what, last.ProvisionState, last.TargetState, last.Reservation, last.LastError)
		}
	}
}

// reach asks for a change of provision state and fails unless it ends in the wanted one, without an error.
func (a *api) reach(ctx context.Context, uuid, verb, want string) error {
	if err := a.provision(ctx, uuid, verb); err != nil {
		return err
	}
	n, err := a.settle(ctx, uuid)
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if n.ProvisionState != want || n.LastError != "" || n.TargetState != "" {
		return fmt.Errorf("%s of node %s ended in %q (target %q), not %q: %s", verb, uuid, n.ProvisionState, n.TargetState,
			want, n.LastError)
	}
	return nil
}

// enrol creates the node of a machine and its ports. Fields in own replace or complete the usual ones.
func (a *api) enrol(ctx context.Context, m room.Info, r lab.Ramdisk, own map[string]any) (string, error) {
	fields := map[string]any{
		"name": m.Name, "driver": "redfish", "boot_interface": "redfish-virtual-media", "deploy_interface": "direct",
		"network_interface": "noop",
		"driver_info": map[string]any{
			"redfish_address": m.Address, "redfish_username": m.Username, "redfish_password": m.Password,
			"redfish_system_id": m.SystemID, "redfish_verify_ca": m.CAFile,
			"deploy_kernel": r.Kernel, "deploy_ramdisk": r.Initrd, "bootloader": r.Bootloader,
			"rescue_kernel": r.Kernel, "rescue_ramdisk": r.Initrd,
		},
		"properties": map[string]any{"capabilities": "boot_mode:uefi", "cpu_arch": m.CPUArch, "memory_mb": m.MemoryMB,
			"local_gb": max(1, m.LocalGB)},
	}
	for key, value := range own {
		if key != "driver_info" {
			fields[key] = value
			continue
		}
		for key, value := range value.(map[string]any) {
			fields["driver_info"].(map[string]any)[key] = value
		}
	}
	var created node
	if err := a.do(ctx, http.MethodPost, "/v1/nodes", fields, &created); err != nil {
		return "", err
	}
	port := map[string]any{"node_uuid": created.UUID, "address": m.MACs[0]}
	return created.UUID, a.do(ctx, http.MethodPost, "/v1/ports", port, nil)
}

// all returns every node with the fields that a crowd is watched by.
func (a *api) all(ctx context.Context) ([]node, error) {
	var page struct {
		Nodes []node `json:"nodes"`
	}
	query := url.Values{"limit": {"1000"}, "fields": {strings.Join([]string{"uuid", "name", "provision_state",
		"target_provision_state", "last_error", "reservation"}, ",")}}
	return page.Nodes, a.do(ctx, http.MethodGet, "/v1/nodes?"+query.Encode(), nil, &page)
}

// drivers returns the hosts that serve a hardware type.
func (a *api) drivers(ctx context.Context, name string) ([]string, error) {
	var found struct {
		Drivers []struct {
			Name  string   `json:"name"`
			Hosts []string `json:"hosts"`
		} `json:"drivers"`
	}
	if err := a.do(ctx, http.MethodGet, "/v1/drivers", nil, &found); err != nil {
		return nil, err
	}
	for _, d := range found.Drivers {
		if d.Name == name {
			return d.Hosts, nil
		}
	}
	return nil, nil
}

// must fails the test when err is not nil.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
