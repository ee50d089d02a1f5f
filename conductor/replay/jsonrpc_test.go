package replay

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// jsonCase is what was recorded of one request with rpc_transport = json-rpc: through ironic-api with what it asked the
// conductor (HTTP and RPC), or of the conductor alone (Request and what follows it).
type jsonCase struct {
	name string

	HTTP struct {
		Request []any
		Status  int
		Body    string
	}
	RPC []struct {
		T        float64
		Request  struct{ Body json.RawMessage }
		Response jsonAnswer
	}

	Request  json.RawMessage
	Status   int
	Headers  map[string]string
	Response string
}

type jsonAnswer struct {
	Status  int
	Headers map[string]string
	Body    json.RawMessage
}

// jsonWorld is a lab without a broker, with a listener between ironic-api and the conductor.
type jsonWorld struct {
	lab    *lab.Lab
	python bool
	// later tells that the release is not the recorded one.
	later bool
	// direct is where the conductor itself listens.
	direct string

	mu   sync.Mutex
	seen []jsonExchange
}

type jsonExchange struct {
	request []byte
	answer  jsonAnswer
}

func TestJSONRPCReplay(t *testing.T) {
	w := startJSON(t)
	cases := w.cases(t)
	byName := map[string]jsonCase{}
	var names []string
	for _, c := range cases {
		byName[c.name] = c
		names = append(names, c.name)
	}
	tally{what: "cases of JSON-RPC", sequence: true}.run(t, names, func(name string) outcome { return w.replay(t, byName[name]) })
}

func startJSON(t *testing.T) *jsonWorld {
	t.Helper()
	w := &jsonWorld{python: os.Getenv("REPLAY_CONDUCTOR") == "python", later: os.Getenv(lab.ReleaseVariable) != ""}
	w.lab = lab.ForTest(t, lab.Options{Transport: "json-rpc", Extra: options{"conductor": {"sync_power_state_interval": "0"}}})
	port := strconv.Itoa(w.lab.RPCPort)
	// The conductor listens beside the address under which it is known; what is between sees everything.
	const beside = "127.0.0.2"
	w.direct = "http://" + net.JoinHostPort(beside, port)
	w.listen(t, net.JoinHostPort(w.lab.Host, port))
	file := filepath.Join(w.lab.Dir, "conductor.conf")
	extra := options{"json_rpc": {"host_ip": beside}}
	program, arguments := "/usr/bin/ironic-conductor", []string(nil)
	if w.python {
		extra["DEFAULT"] = map[string]string{"enabled_hardware_types": "fake-hardware"}
	} else {
		program, arguments = build(t), []string{"conductor"}
	}
	if err := w.lab.WriteConf(file, w.lab.Host, extra); err != nil {
		t.Fatal(err)
	}
	if _, err := w.lab.StartConductor(w.lab.Host, file, program, arguments...); err != nil {
		t.Fatal(err)
	}
	return w
}

// listen takes the requests of ironic-api, hands them on and remembers them.
func (w *jsonWorld) listen(t *testing.T, address string) {
	t.Helper()
	target, err := url.Parse(w.direct)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := &http.Server{Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		request, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(request))
		own := *proxy
		own.ModifyResponse = func(response *http.Response) error {
			body, err := io.ReadAll(response.Body)
			if err != nil {
				return err
			}
			response.Body = io.NopCloser(bytes.NewReader(body))
			w.mu.Lock()
			defer w.mu.Unlock()
			w.seen = append(w.seen, jsonExchange{request, jsonAnswer{Status: response.StatusCode, Body: body,
				Headers: map[string]string{"Content-Type": response.Header.Get("Content-Type")}}})
			return nil
		}
		own.ServeHTTP(rw, r)
	})}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

// cases returns the recordings in the order in which they were made, those of the conductor alone last.
func (w *jsonWorld) cases(t *testing.T) []jsonCase {
	t.Helper()
	files, err := filepath.Glob("testdata/21.4/json-rpc/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recordings (%v)", err)
	}
	host := w.lab.Host
	if w.later {
		// The name tells the port.
		host = net.JoinHostPort(host, strconv.Itoa(w.lab.RPCPort))
	}
	places := strings.NewReplacer("http://127.0.0.1:6385", w.lab.IronicURL, "localhost", host)
	var all []jsonCase
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := jsonCase{name: strings.TrimSuffix(filepath.Base(file), ".json")}
		if err := json.Unmarshal([]byte(places.Replace(string(content))), &c); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, c)
	}
	at := func(c jsonCase) float64 {
		if len(c.RPC) == 0 {
			return float64(time.Now().Unix()) + 1e9
		}
		return c.RPC[0].T
	}
	slices.SortStableFunc(all, func(a, b jsonCase) int { return int(at(a) - at(b)) })
	return all
}

func (w *jsonWorld) replay(t *testing.T, c jsonCase) outcome {
	t.Helper()
	var found []mismatch
	result := same
	if len(c.RPC) == 0 {
		found = w.replayRaw(t, c)
	} else {
		found = slices.DeleteFunc(w.replayHTTP(t, c), w.came)
	}
	for _, m := range found {
		t.Errorf("%s: %s", c.name, m)
		result = different
	}
	return result
}

// replayRaw asks the conductor what was asked of it without ironic-api. The answer is the same to the byte.
func (w *jsonWorld) replayRaw(t *testing.T, c jsonCase) []mismatch {
	got := w.post(t, c.Request)
	found := compare("status", json.Number(fmt.Sprint(c.Status)), json.Number(fmt.Sprint(got.Status)))
	found = append(found, compare("body", c.Response, string(got.Body))...)
	if c.Status == http.StatusOK {
		found = append(found, compare("content-type", c.Headers["Content-Type"], got.Headers["Content-Type"])...)
	}
	return found
}

// replayHTTP asks ironic-api, and compares what it asked and was answered.
func (w *jsonWorld) replayHTTP(t *testing.T, c jsonCase) []mismatch {
	t.Helper()
	w.settle(t)
	w.mu.Lock()
	w.seen = nil
	w.mu.Unlock()
	method, path := c.HTTP.Request[0].(string), c.HTTP.Request[1].(string)
	status, body := w.request(t, httpRequest{Method: method, Path: path, Body: c.HTTP.Request[2]})
	found := compare("http.status", json.Number(fmt.Sprint(c.HTTP.Status)), json.Number(fmt.Sprint(status)))
	found = append(found, compare("http.body", plain("", c.HTTP.Body), plain("", body))...)
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.seen) != len(c.RPC) {
		return append(found, mismatch{"rpc", len(c.RPC), len(w.seen)})
	}
	for i, want := range c.RPC {
		got := w.seen[i]
		at := fmt.Sprintf("rpc%d", i)
		found = append(found, compare(at+".request", comparableJSON(t, want.Request.Body), comparableJSON(t, got.request))...)
		found = append(found, compare(at+".answer", comparableJSON(t, want.Response.Body), comparableJSON(t, got.answer.Body))...)
		found = append(found, compare(at+".content-type", want.Response.Headers["Content-Type"], got.answer.Headers["Content-Type"])...)
		if idOf(t, got.request) != idOf(t, got.answer.Body) {
			found = append(found, mismatch{at + ".id", idOf(t, got.request), idOf(t, got.answer.Body)})
		}
	}
	return found
}

// came tells that a difference is no more than what objects have gained since the recorded release.
func (w *jsonWorld) came(m mismatch) bool {
	return w.later && (m.want == absent || strings.HasSuffix(m.path, "ironic_object.version") ||
		strings.HasSuffix(m.path, "ironic_object.changes"))
}

// settle waits until the conductor holds no node: what a case began in the background is done.
func (w *jsonWorld) settle(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(endless); ; time.Sleep(20 * time.Millisecond) {
		_, body := w.request(t, httpRequest{Method: "GET", Path: "/v1/nodes?fields=uuid,reservation"})
		if !strings.Contains(fmt.Sprint(body), "reservation:"+w.lab.Host) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("a node stays locked: %v", body)
		}
	}
}

func (w *jsonWorld) post(t *testing.T, body []byte) jsonAnswer {
	t.Helper()
	response, err := http.Post(w.direct, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return jsonAnswer{Status: response.StatusCode, Body: text,
		Headers: map[string]string{"Content-Type": response.Header.Get("Content-Type")}}
}

func idOf(t *testing.T, message []byte) string {
	t.Helper()
	var m struct{ ID string }
	if err := json.Unmarshal(message, &m); err != nil {
		t.Fatal(err)
	}
	return m.ID
}

// comparableJSON drops what differs from run to run: ids of requests and rows.
func comparableJSON(t *testing.T, message []byte) any {
	t.Helper()
	var m map[string]any
	if err := decode(string(message), &m); err != nil {
		t.Fatalf("%s: %v", message, err)
	}
	delete(m, "id")
	return plain("", dropVolatile(m))
}

func dropVolatile(value any) any {
	m, ok := value.(map[string]any)
	if !ok {
		return value
	}
	for _, key := range []string{"request_id", "conductor_affinity", "global_request_id"} {
		delete(m, key)
	}
	if data, ok := m["ironic_object.data"].(map[string]any); ok {
		delete(data, "id")
		delete(data, "node_id")
	}
	for key := range m {
		m[key] = dropVolatile(m[key])
	}
	return m
}
