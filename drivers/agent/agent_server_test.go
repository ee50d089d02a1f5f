package agent

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

func zerologNop() zerolog.Logger { return zerolog.Nop() }

const token = "s3cret-t0ken"

// agentServer is an agent over HTTPS with a certificate of its own.
type agentServer struct {
	*httptest.Server
	// posts and gets are what was asked, in order.
	posts []store.Dict
	gets  int
	waits []string
	// answer gives status and body of a request; body nil closes the connection without an answer.
	answer func(r *http.Request, body store.Dict) (int, any)
}

func newAgent(t *testing.T, answer func(*http.Request, store.Dict) (int, any)) *agentServer {
	t.Helper()
	a := &agentServer{answer: answer}
	a.Server = httptest.NewUnstartedServer(a)
	a.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.StartTLS()
	t.Cleanup(a.Close)
	return a
}

func (a *agentServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/v1/commands/" || r.URL.Query().Get("agent_token") != token {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"faultstring": "Incorrect agent_token"}`)
		return
	}
	var body store.Dict
	if r.Method == http.MethodPost {
		text, _ := io.ReadAll(r.Body)
		body, _ = store.ParseDict(text)
		a.posts = append(a.posts, body)
		a.waits = append(a.waits, r.URL.Query().Get("wait"))
	} else {
		a.gets++
	}
	status, answer := a.answer(r, body)
	if answer == nil {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
	if text, ok := answer.(string); ok {
		_, _ = io.WriteString(w, text)
		return
	}
	_ = json.NewEncoder(w).Encode(answer)
}

// node returns a node whose agent this is, with the agent's certificate stored as a heartbeat leaves it.
func (a *agentServer) node(t *testing.T) *store.Node {
	t.Helper()
	n := &store.Node{UUID: "n1", Driver: "redfish", DriverInfo: store.Dict{}, InstanceInfo: store.Dict{},
		Properties: store.Dict{}, DriverInternalInfo: store.Dict{}}
	a.adopt(t, n)
	return n
}

func (a *agentServer) adopt(t *testing.T, n *store.Node) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "agent.crt")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw})
	if err := os.WriteFile(path, block, 0o600); err != nil {
		t.Fatal(err)
	}
	n.DriverInternalInfo["agent_url"], n.DriverInternalInfo["agent_verify_ca"] = a.URL, path
	n.DriverInternalInfo["agent_secret_token"] = token
}

func commandList(commands ...store.Dict) store.Dict {
	list := []any{}
	for _, c := range commands {
		list = append(list, c)
	}
	return store.Dict{"commands": list}
}

func cmd(name, status string) store.Dict {
	return store.Dict{"id": "1", "command_name": name, "command_status": status, "command_error": nil, "command_result": nil}
}
