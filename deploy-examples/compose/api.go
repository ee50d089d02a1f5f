package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// api is ironic-api as it is published.
type api struct{ url string }

// node is what the trial looks at of a node.
type node struct {
	Name           string         `json:"name"`
	ProvisionState string         `json:"provision_state"`
	TargetState    string         `json:"target_provision_state"`
	LastError      string         `json:"last_error"`
	Conductor      string         `json:"conductor"`
	DeployStep     map[string]any `json:"deploy_step"`
}

// failed tells whether a change of provision state came to nothing.
func (n node) failed() bool {
	return strings.HasSuffix(n.ProvisionState, "failed") || n.ProvisionState == "error" ||
		n.LastError != "" && n.TargetState == ""
}

func (a api) call(ctx context.Context, method, path string, body, into any) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	var text bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&text).Encode(body); err != nil {
			return err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, a.url+path, &text)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-OpenStack-Ironic-API-Version", "1.81")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s %s: %s: %s", method, path, response.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

func (a api) node(ctx context.Context, name string) (n node, err error) {
	return n, a.call(ctx, http.MethodGet, "/v1/nodes/"+name, nil, &n)
}

func (a api) nodes(ctx context.Context) ([]node, error) {
	var list struct {
		Nodes []node `json:"nodes"`
	}
	return list.Nodes, a.call(ctx, http.MethodGet, "/v1/nodes/detail", nil, &list)
}

// order says which image a node is to get.
func (a api) order(ctx context.Context, name, image string) error {
	return a.call(ctx, http.MethodPatch, "/v1/nodes/"+name,
		[]map[string]any{{"op": "add", "path": "/instance_info/image_source", "value": image}}, nil)
}

// provision asks for a change of provision state.
func (a api) provision(ctx context.Context, name, target string) error {
	return a.call(ctx, http.MethodPut, "/v1/nodes/"+name+"/states/provision", map[string]string{"target": target}, nil)
}

// validate has the node's conductor look at the node: a call that fails when nobody answers for it.
func (a api) validate(ctx context.Context, name string) error {
	return a.call(ctx, http.MethodGet, "/v1/nodes/"+name+"/validate", nil, nil)
}

// await waits until a node is as wanted. One whose change failed is an error.
func (a api) await(ctx context.Context, name, what string, wanted func(node) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	for {
		n, err := a.node(ctx, name)
		switch {
		case err != nil:
			return err
		case wanted(n):
			return nil
		case n.failed():
			return fmt.Errorf("%s is in state %s, not %s: %s", name, n.ProvisionState, what, n.LastError)
		case pause(ctx, 500*time.Millisecond) != nil:
			return fmt.Errorf("%s did not get to %s in time; it is in state %s (%v)", name, what, n.ProvisionState, n.DeployStep)
		}
	}
}

// state waits for a provision state.
func (a api) state(ctx context.Context, name, state string) error {
	return a.await(ctx, name, state, func(n node) bool { return n.ProvisionState == state })
}
