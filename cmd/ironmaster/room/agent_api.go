package room

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
)

// maxCommand bounds the body of a command. A config drive, the largest thing in one, has at most 64 MiB before base64.
const maxCommand = 128 << 20

// agentServer is the HTTPS API of an agent, on its own port, with a certificate that was made for this boot.
type agentServer struct {
	agent *agent
	// life is the agent's context: commands outlive the requests that began them.
	life        context.Context
	certificate []byte
	listener    net.Listener
	server      *http.Server
	// tokenSeen is set when a reader of commands sent a token; from then on all must, as in ironic-python-agent.
	tokenSeen atomic.Bool
}

func newAgentServer(ctx context.Context, a *agent) (*agentServer, error) {
	certificate, text, err := selfSigned(a.m.room.place.ip)
	if err != nil {
		return nil, fmt.Errorf("making the agent's certificate: %w", err)
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort(a.m.room.place.ip.String(), "0"))
	if err != nil {
		return nil, fmt.Errorf("starting the agent's API: %w", err)
	}
	s := &agentServer{agent: a, life: ctx, certificate: text, listener: tls.NewListener(listener, serverTLS(certificate))}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.describe)
	mux.HandleFunc("GET /v1/{$}", s.describe)
	mux.HandleFunc("GET /v1/status", s.status)
	for _, prefix := range []string{"/v1", ""} {
		mux.HandleFunc("GET "+prefix+"/commands/{$}", s.listCommands)
		mux.HandleFunc("GET "+prefix+"/commands/{id}", s.getCommand)
		mux.HandleFunc("POST "+prefix+"/commands/{$}", s.runCommand)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		sendFault(w, http.StatusNotFound, "404 Not Found: The requested URL was not found on the server. "+
			"If you entered the URL manually please check your spelling and try again.")
	})
	s.server = quietServer(mux)
	return s, nil
}

func (s *agentServer) address() string { return "https://" + s.listener.Addr().String() }

func (s *agentServer) serve() {
	if err := s.server.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		s.agent.log.Error().Err(err).Msg("the agent's API stopped")
	}
}

// retire answers the requests in progress and takes no more.
func (s *agentServer) retire(ctx context.Context) error {
	return s.server.Shutdown(ctx)
}

func (s *agentServer) close() error {
	return errors.Join(s.server.Close(), ignoreClosed(s.listener.Close()))
}

func (s *agentServer) describe(w http.ResponseWriter, _ *http.Request) {
	s.send(w, map[string]any{
		"name":        "OpenStack Ironic Python Agent API",
		"description": "Ironic Python Agent is a provisioning agent for OpenStack Ironic",
		"versions":    []any{map[string]any{"id": "v1", "links": []any{map[string]any{"href": s.address() + "/v1", "rel": "self"}}}},
		"default_version": map[string]any{
			"id": "v1", "links": []any{map[string]any{"href": s.address() + "/v1", "rel": "self"}},
		},
	})
}

func (s *agentServer) status(w http.ResponseWriter, _ *http.Request) {
	s.send(w, map[string]any{"version": agentVersion, "started_at": nil})
}

func (s *agentServer) listCommands(w http.ResponseWriter, r *http.Request) {
	if !s.mayRead(w, r) {
		return
	}
	commands := s.agent.commands.list()
	s.agent.m.change(func(s *state) { clear(s.unread) })
	s.agent.m.toldWrites()
	s.send(w, map[string]any{"commands": commands})
}

func (s *agentServer) getCommand(w http.ResponseWriter, r *http.Request) {
	if !s.mayRead(w, r) {
		return
	}
	c, ok := s.agent.commands.find(r.PathValue("id"))
	if !ok {
		failure := agentNotFound("Command Result", r.PathValue("id"))
		sendFault(w, failure.Code, failure.Error())
		return
	}
	s.answer(w, r, c, s.agent.commands.show(c))
}

func (s *agentServer) runCommand(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name   string                     `json:"name"`
		Params map[string]json.RawMessage `json:"params"`
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxCommand))
	if err == nil {
		err = json.Unmarshal(text, &body)
	}
	if err != nil || body.Name == "" || body.Params == nil {
		sendFault(w, http.StatusBadRequest, "400 Bad Request: Missing or invalid name or params")
		return
	}
	if !s.agent.tokenIs(r.URL.Query().Get("agent_token")) {
		sendFault(w, http.StatusUnauthorized, "401 Unauthorized: Token invalid.")
		return
	}
	c, begun, failure := s.agent.execute(s.life, body.Name, body.Params)
	if failure != nil {
		sendFault(w, failure.Code, failure.Error())
		return
	}
	s.answer(w, r, c, begun)
}

// mayRead checks the token of a reader.
func (s *agentServer) mayRead(w http.ResponseWriter, r *http.Request) bool {
	token := r.URL.Query().Get("agent_token")
	if token != "" {
		s.tokenSeen.Store(true)
	}
	if s.tokenSeen.Load() && !s.agent.tokenIs(token) {
		sendFault(w, http.StatusUnauthorized, "401 Unauthorized: Token invalid.")
		return false
	}
	return true
}

func (a *agent) tokenIs(token string) bool {
	return token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(a.token)) == 1
}

// answer sends a command as it looks now, or at its end when the client wants to wait for that.
func (s *agentServer) answer(w http.ResponseWriter, r *http.Request, c *command, now shownCommand) {
	if strings.EqualFold(r.URL.Query().Get("wait"), "true") {
		select {
		case <-c.done:
		case <-r.Context().Done():
			return
		}
		now = s.agent.commands.show(c)
	}
	s.send(w, now)
}

func (s *agentServer) send(w http.ResponseWriter, answer any) {
	text, err := json.Marshal(answer)
	if err != nil {
		sendFault(w, http.StatusInternalServerError, err.Error())
		return
	}
	sendJSON(w, http.StatusOK, text)
}
