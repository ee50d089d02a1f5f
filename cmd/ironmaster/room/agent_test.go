package room

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stmcginnis/gofish/schemas"
)

const (
	testToken = "t0ken"
	testNode  = "a030385c-aaa2-486d-8768-016bbb7f682a"
)

// heartbeat is what a fake ironic-api was told.
type heartbeat struct {
	CallbackURL string `json:"callback_url"`
	Token       string `json:"agent_token"`
	Version     string `json:"agent_version"`
	VerifyCA    string `json:"agent_verify_ca"`
}

// fakeIronic is an ironic-api with one node, a web server for ISOs and images, and a conductor by hand.
type fakeIronic struct {
	*httptest.Server
	t     *testing.T
	macs  []string
	files map[string]http.HandlerFunc

	mu         sync.Mutex
	lookups    []string
	heartbeats []heartbeat
	headers    []http.Header
	refuse     int // heartbeats and findings to answer with 409
	findings   []map[string]any
}

func newFakeIronic(t *testing.T, m *Machine) *fakeIronic {
	t.Helper()
	f := &fakeIronic{t: t, macs: m.Info().MACs, files: map[string]http.HandlerFunc{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"default_version": {"id": "v1", "min_version": "1.1", "version": "1.82"}}`)
	})
	mux.HandleFunc("GET /v1/lookup", f.lookup)
	mux.HandleFunc("POST /v1/heartbeat/"+testNode, f.heartbeat)
	mux.HandleFunc("POST /v1/continue_inspection", f.continueInspection)
	mux.HandleFunc("GET /files/{name}", func(w http.ResponseWriter, r *http.Request) {
		f.files[r.PathValue("name")](w, r)
	})
	f.Server = httptest.NewServer(mux)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeIronic) lookup(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lookups = append(f.lookups, r.URL.Query().Encode())
	f.headers = append(f.headers, r.Header)
	if !strings.Contains(r.URL.Query().Get("addresses"), f.macs[0]) {
		http.Error(w, `{"error_message": "not found"}`, http.StatusNotFound)
		return
	}
	fmt.Fprintf(w, `{"node": {"uuid": %q}, "config": {"heartbeat_timeout": 300, "agent_token": "******", "agent_token_required": true}}`, testNode)
}

func (f *fakeIronic) heartbeat(w http.ResponseWriter, r *http.Request) {
	var beat heartbeat
	if err := json.NewDecoder(r.Body).Decode(&beat); err != nil {
		f.t.Errorf("a heartbeat that is no JSON: %v", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.headers = append(f.headers, r.Header)
	f.heartbeats = append(f.heartbeats, beat)
	if f.refuse > 0 {
		f.refuse--
		w.WriteHeader(http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

func (f *fakeIronic) beats() []heartbeat {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.heartbeats)
}

// serve offers content under a name and returns its URL.
func (f *fakeIronic) serve(name string, content []byte) string {
	f.files[name] = func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(content))
	}
	return f.URL + "/files/" + name
}

// bootISO offers a boot ISO whose command line leads to this ironic.
func (f *fakeIronic) bootISO() string {
	config := fmt.Sprintf("linuxefi /vmlinuz ipa-api-url=%s ipa-agent-token=%s boot_method=vmedia --\n", f.URL, testToken)
	return f.serve("boot.iso", makeISO(map[string]string{"EFI/BOOT/grub.cfg": config}))
}

// bootAgent starts the machine as ironic does: insert the ISO, override the boot source once, power on.
func bootAgent(t *testing.T, m *Machine, iso string) {
	t.Helper()
	client := connect(t, m)
	defer client.Logout()
	if _, err := theCD(t, client).InsertMedia(&schemas.VirtualMediaInsertMediaParameters{Image: iso}); err != nil {
		t.Fatal(err)
	}
	err := theSystem(t, client).SetBoot(&schemas.Boot{
		BootSourceOverrideTarget: schemas.CdBootSource, BootSourceOverrideEnabled: schemas.OnceBootSourceOverrideEnabled,
	})
	if err != nil {
		t.Fatal(err)
	}
	reset(t, theSystem(t, client), schemas.OnResetType)
}

// agentClient is the conductor's view of an agent: the address and the certificate of its last heartbeat.
type agentClient struct {
	t    *testing.T
	http *http.Client
	url  string
}

func (f *fakeIronic) agent() *agentClient {
	f.t.Helper()
	eventually(f.t, "a heartbeat", func() bool { return len(f.beats()) > 0 })
	beats := f.beats()
	beat := beats[len(beats)-1]
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(beat.VerifyCA)) {
		f.t.Fatal("the heartbeat brings no certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	f.t.Cleanup(transport.CloseIdleConnections)
	return &agentClient{t: f.t, http: &http.Client{Transport: transport, Timeout: time.Minute}, url: beat.CallbackURL}
}

// do makes a request and decodes the answer.
func (c *agentClient) do(method, path, body string, answer any) int {
	c.t.Helper()
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := c.http.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		c.t.Fatalf("%s %s: %s: %v", method, path, text, err)
	}
	return response.StatusCode
}

// shown is a command as a conductor reads it.
type shown struct {
	ID     string          `json:"id"`
	Name   string          `json:"command_name"`
	Status string          `json:"command_status"`
	Error  *agentError     `json:"command_error"`
	Result json.RawMessage `json:"command_result"`
	Fault  string          `json:"faultstring"`
}

func (c *agentClient) command(wait bool, name string, params any) (shown, int) {
	c.t.Helper()
	body, err := json.Marshal(map[string]any{"name": name, "params": params})
	if err != nil {
		c.t.Fatal(err)
	}
	var answer shown
	status := c.do(http.MethodPost, fmt.Sprintf("/v1/commands/?wait=%v&agent_token=%s", wait, testToken), string(body), &answer)
	return answer, status
}

// finished waits for the end of a command by polling, as a conductor does.
func (c *agentClient) finished(id string) shown {
	c.t.Helper()
	var answer shown
	eventually(c.t, "the end of a command", func() bool {
		c.do(http.MethodGet, "/v1/commands/"+id+"?agent_token="+testToken, "", &answer)
		return answer.Status != commandRunning
	})
	return answer
}

func deployStep(args map[string]any) map[string]any {
	return map[string]any{
		"step":           map[string]any{"interface": "deploy", "step": "write_image", "args": args},
		"node":           map[string]any{"uuid": testNode},
		"ports":          []any{},
		"deploy_version": hardwareManager,
	}
}

func TestDeployment(t *testing.T) {
	image := testImage(3<<20 + 512)
	for name, format := range map[string]string{"raw": "raw", "qcow2": "qcow2"} {
		t.Run(name, func(t *testing.T) {
			m := openRoom(t, Config{}).Machines()[0]
			ironic := newFakeIronic(t, m)
			content := image
			if format == "qcow2" {
				content = toQcow2(t, image)
			}
			imageURL := ironic.serve("image", content)
			bootAgent(t, m, ironic.bootISO())
			agent := ironic.agent()
			beat := ironic.beats()[0]
			if beat.Token != testToken || beat.Version != agentVersion {
				t.Errorf("heartbeat %+v", beat)
			}
			if got := m.Snapshot(); got.Booted != BootAgent {
				t.Errorf("the machine runs %q: %s", got.Booted, got.BootError)
			}
			steps, status := agent.command(true, "deploy.get_deploy_steps", map[string]any{"node": map[string]any{}, "ports": []any{}})
			if status != 200 || steps.Status != commandSucceeded || !strings.Contains(string(steps.Result), `"write_image"`) {
				t.Errorf("deploy steps: %d %+v", status, steps)
			}
			drive := base64.StdEncoding.EncodeToString(gzipped(t, []byte("config drive")))
			before := len(ironic.beats())
			started, _ := agent.command(false, "deploy.execute_deploy_step", deployStep(map[string]any{
				"image_info": map[string]any{
					"id": "image", "urls": []string{imageURL}, "disk_format": format,
					"os_hash_algo": "sha256", "os_hash_value": sha256Hex(content), "node_uuid": testNode,
				},
				"configdrive": drive,
			}))
			if started.Status != commandRunning {
				t.Fatalf("write_image: %+v", started)
			}
			ended := agent.finished(started.ID)
			if ended.Status != commandSucceeded {
				t.Fatalf("write_image: %+v", ended.Error)
			}
			want := `"result":"prepare_image: image (image) written to device /dev/vda root_uuid=0x78563412"`
			if !strings.Contains(string(ended.Result), want) || !strings.Contains(string(ended.Result), `"deploy_step"`) {
				t.Errorf("the result is %s", ended.Result)
			}
			eventually(t, "a heartbeat after the step", func() bool { return len(ironic.beats()) > before })
			if got, err := m.DiskSHA256(int64(len(image))); err != nil || got != sha256Hex(image) {
				t.Errorf("the disk is not the image: %v", err)
			}
			if got := m.Snapshot(); got.Writes != 1 || got.ConfigDriveSHA256 != sha256Hex([]byte("config drive")) {
				t.Errorf("after the write: %+v", got)
			}
			if got, _ := agent.command(true, "standby.get_partition_uuids", map[string]any{}); string(got.Result) != `{"root uuid":"0x78563412"}` {
				t.Errorf("partition uuids: %s", got.Result)
			}
			if got, _ := agent.command(true, "image.install_bootloader", map[string]any{"root_uuid": "0x78563412"}); got.Status != commandSucceeded {
				t.Errorf("boot loader: %+v", got)
			}
			if got, _ := agent.command(true, "log.collect_system_logs", map[string]any{}); !strings.Contains(string(got.Result), `"system_logs":"H4sI`) {
				t.Errorf("logs: %s", got.Result)
			}
			if got, _ := agent.command(false, "standby.power_off", map[string]any{}); got.Status != commandRunning {
				t.Errorf("power off: %+v", got)
			}
			eventually(t, "power off", func() bool { return !m.Snapshot().Powered })
			client := connect(t, m)
			reset(t, theSystem(t, client), schemas.OnResetType)
			eventually(t, "the boot from disk", func() bool { return m.Snapshot().Booted == BootDisk })
		})
	}
}

// Many machines at once share one image server and little memory.
func TestManyDeployments(t *testing.T) {
	image := testImage(4 << 20)
	r := openRoom(t, Config{Count: 30})
	var all sync.WaitGroup
	for _, m := range r.Machines() {
		ironic := newFakeIronic(t, m)
		url, iso := ironic.serve("image", image), ironic.bootISO()
		all.Go(func() {
			bootAgent(t, m, iso)
			started, _ := ironic.agent().command(true, "deploy.execute_deploy_step", deployStep(map[string]any{"image_info": map[string]any{
				"id": "image", "urls": []string{url}, "disk_format": "raw", "os_hash_algo": "sha256", "os_hash_value": sha256Hex(image)}}))
			if started.Status != commandSucceeded {
				t.Errorf("%s: %+v", m.Info().Name, started.Error)
			}
		})
	}
	all.Wait()
}

func TestLookupSpeaksAsRecorded(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	bootAgent(t, m, ironic.bootISO())
	ironic.agent()
	ironic.mu.Lock()
	defer ironic.mu.Unlock()
	if want := "addresses=" + strings.ReplaceAll(strings.Join(m.Info().MACs, ","), ":", "%3A"); ironic.lookups[0] != strings.ReplaceAll(want, ",", "%2C") {
		t.Errorf("the first lookup was %s", ironic.lookups[0])
	}
	for i, want := range []string{"1.62", "1.68"} {
		if got := ironic.headers[i].Get("X-OpenStack-Ironic-API-Version"); got != want {
			t.Errorf("request %d asks for version %s, want %s", i, got, want)
		}
	}
}

func TestRefusedHeartbeatComesAgain(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	ironic.refuse = 3
	bootAgent(t, m, ironic.bootISO())
	eventually(t, "a heartbeat that is taken", func() bool { return len(ironic.beats()) == 4 })
}

func TestAgentNeedsItsBoot(t *testing.T) {
	const noSuchPort = "http://127.0.0.1:1/boot.iso"
	for name, test := range map[string]struct {
		iso    func(*fakeIronic) string
		target schemas.BootSource
		want   string
	}{
		"override to disk": {iso: (*fakeIronic).bootISO, target: schemas.HddBootSource, want: "no partition table"},
		"no ISO":           {target: schemas.CdBootSource, want: "no partition table"},
		"ISO unreachable":  {iso: func(*fakeIronic) string { return noSuchPort }, target: schemas.CdBootSource, want: "reading the boot ISO"},
		"not an ISO": {iso: func(f *fakeIronic) string { return f.serve("text", make([]byte, 64<<10)) },
			target: schemas.CdBootSource, want: "not an ISO 9660 image"},
		"no ipa-api-url": {iso: func(f *fakeIronic) string {
			return f.serve("boot.iso", makeISO(map[string]string{"EFI/BOOT/grub.cfg": "linux /k text"}))
		}, target: schemas.CdBootSource, want: "ipa-api-url"},
	} {
		t.Run(name, func(t *testing.T) {
			m := openRoom(t, Config{}).Machines()[0]
			ironic := newFakeIronic(t, m)
			client := connect(t, m)
			if test.iso != nil {
				if _, err := theCD(t, client).InsertMedia(&schemas.VirtualMediaInsertMediaParameters{Image: test.iso(ironic)}); err != nil {
					t.Fatal(err)
				}
			}
			if err := theSystem(t, client).SetBoot(&schemas.Boot{BootSourceOverrideTarget: test.target,
				BootSourceOverrideEnabled: schemas.OnceBootSourceOverrideEnabled}); err != nil {
				t.Fatal(err)
			}
			reset(t, theSystem(t, client), schemas.OnResetType)
			eventually(t, "a failed boot", func() bool { return m.Snapshot().Booted == BootFailed })
			if got := m.Snapshot().BootError; !strings.Contains(got, test.want) || strings.Contains(got, "boot.iso") {
				t.Errorf("the boot failed with %q, want %q and no URL", got, test.want)
			}
			if len(ironic.beats()) != 0 {
				t.Error("an agent ran")
			}
		})
	}
}

func TestISOWithoutRanges(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	config := fmt.Sprintf("linux /k ipa-api-url=%s ipa-agent-token=%s", ironic.URL, testToken)
	image := makeISO(map[string]string{"EFI/BOOT/grub.cfg": config})
	ironic.files["whole.iso"] = func(w http.ResponseWriter, _ *http.Request) {
		if _, err := w.Write(image); err != nil && m.Snapshot().Booted == BootAgent {
			t.Error(err)
		}
	}
	bootAgent(t, m, ironic.URL+"/files/whole.iso")
	ironic.agent()
}

func TestForceOffEndsTheAgent(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	stuck := make(chan struct{})
	ironic.files["endless"] = func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		close(stuck)
		<-r.Context().Done()
	}
	bootAgent(t, m, ironic.bootISO())
	agent := ironic.agent()
	agent.command(false, "deploy.execute_deploy_step", deployStep(map[string]any{"image_info": map[string]any{
		"id": "image", "urls": []string{ironic.URL + "/files/endless"}, "disk_format": "raw", "checksum": strings.Repeat("0", 64)}}))
	<-stuck
	client := connect(t, m)
	reset(t, theSystem(t, client), schemas.ForceOffResetType)
	eventually(t, "power off", func() bool { return !m.Snapshot().Powered })
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, agent.url+"/v1/commands/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := agent.http.Do(request); err == nil {
		response.Body.Close()
		t.Error("the agent of a machine without power answers")
	}
}

func TestAgentFaults(t *testing.T) {
	t.Run("a command fails", func(t *testing.T) {
		m := openRoom(t, Config{Faults: Faults{CommandFailure: 1}}).Machines()[0]
		ironic := newFakeIronic(t, m)
		bootAgent(t, m, ironic.bootISO())
		started, _ := ironic.agent().command(true, "clean.execute_clean_step", map[string]any{"step": map[string]any{"step": "erase_devices"}})
		if started.Status != commandFailedNow || started.Error.Type != "CommandExecutionError" {
			t.Errorf("the command: %+v", started)
		}
	})
	t.Run("no heartbeat", func(t *testing.T) {
		m := openRoom(t, Config{Faults: Faults{NoHeartbeat: 1}}).Machines()[0]
		ironic := newFakeIronic(t, m)
		bootAgent(t, m, ironic.bootISO())
		eventually(t, "the lookup", func() bool {
			ironic.mu.Lock()
			defer ironic.mu.Unlock()
			return len(ironic.lookups) > 0
		})
		if len(ironic.beats()) != 0 {
			t.Error("a heartbeat came")
		}
	})
}
