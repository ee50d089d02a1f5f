// Package cindertest stands in for Cinder in tests: the part of the Block Storage API v3 by which ironic attaches and detaches volumes
// (https://docs.openstack.org/api-ref/block-storage/v3/), in memory. It moves volumes between their states as Cinder's API does, and
// answers in the documents that Cinder's API reference shows.
package cindertest

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// Server is a Cinder. Its fields may be used while nobody asks it.
type Server struct {
	*httptest.Server
	mu sync.Mutex
	// Status and Owner are the state of each volume, and what it is attached to.
	Status, Owner map[string]string
	// Bodies are the last arguments of each action.
	Bodies map[string]string
	// Refuse says how often an action fails.
	Refuse map[string]int
	// HangUp is an action that is done and not answered; Connection is what is answered of one instead of the document.
	HangUp, Connection string
	asked              []string
}

// New starts a Cinder with some volumes, which ends with the test.
func New(t testing.TB, volumes ...string) *Server {
	s := &Server{Status: map[string]string{}, Owner: map[string]string{}, Bodies: map[string]string{}, Refuse: map[string]int{}}
	for _, id := range volumes {
		s.Put(id, "")
	}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// Put has a volume that is attached to an owner, or available where there is none.
func (s *Server) Put(id, owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Status[id] = "available"; owner != "" {
		s.Status[id], s.Owner[id] = "in-use", owner
	}
}

// Volume is the state of a volume, and what it is attached to.
func (s *Server) Volume(id string) (status, owner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Status[id], s.Owner[id]
}

// Took returns which actions were asked since the last call, each with the end of the volume's id.
func (s *Server) Took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.asked
	s.asked = nil
	return asked
}

// actions are possible in one state each, and lead to the next.
var actions = map[string]struct{ from, next string }{
	"os-reserve": {"available", "attaching"}, "os-unreserve": {"attaching", "available"},
	"os-initialize_connection": {"attaching", "attaching"}, "os-attach": {"attaching", "in-use"},
	"os-begin_detaching": {"in-use", "detaching"}, "os-terminate_connection": {"detaching", "detaching"},
	"os-detach": {"detaching", "available"},
}

// ServeHTTP is http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v3/volumes/"), "/")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Openstack-Request-Id", "req-1")
	if s.Status[id] == "" {
		refuse(w, http.StatusNotFound, "itemNotFound", "Volume "+id+" could not be found.")
		return
	}
	if r.Method == http.MethodGet {
		_, _ = w.Write([]byte(s.document(volume, id)))
		return
	}
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, "badRequest", err.Error())
		return
	}
	if rest == "metadata" {
		_ = json.NewEncoder(w).Encode(body)
		return
	}
	for name, args := range body {
		s.act(w, id, name, args)
	}
}

func refuse(w http.ResponseWriter, status int, kind, message string) {
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{kind: map[string]any{"code": status, "message": message}})
}

func (s *Server) act(w http.ResponseWriter, id, name string, args any) {
	encoded, _ := json.Marshal(args)
	s.asked, s.Bodies[name] = append(s.asked, strings.TrimPrefix(name, "os-")+" "+id[len(id)-1:]), string(encoded)
	if s.Refuse[name] > 0 {
		s.Refuse[name]--
		refuse(w, http.StatusInternalServerError, "computeFault", "The server has either erred or is incapable of performing the requested operation.")
		return
	}
	action := actions[name]
	if s.Status[id] != action.from {
		refuse(w, http.StatusBadRequest, "badRequest", "Invalid volume: Volume status must be "+action.from+".")
		return
	}
	s.Status[id] = action.next
	if name == s.HangUp {
		panic(http.ErrAbortHandler)
	}
	switch name {
	case "os-attach":
		arguments, _ := args.(map[string]any)
		s.Owner[id], _ = arguments["instance_uuid"].(string)
	case "os-detach":
		delete(s.Owner, id)
	case "os-initialize_connection":
		if s.Connection != "" {
			_, _ = w.Write([]byte(s.Connection))
			return
		}
		_, _ = w.Write([]byte(s.document(connection, id)))
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// The documents of the API reference, with capitals where they differ.
var (
	//go:embed volume.json
	volume string
	//go:embed connection.json
	connection string
	//go:embed attachment.json
	attachment string
)

func (s *Server) document(text, id string) string {
	attachments := "[]"
	if s.Owner[id] != "" {
		attachments = "[" + strings.ReplaceAll(attachment, "SERVER", s.Owner[id]) + "]"
	}
	return strings.NewReplacer("ATTACHMENTS", attachments, "STATUS", s.Status[id]).Replace(strings.ReplaceAll(
		strings.ReplaceAll(text, "ATTACHMENTS", attachments), "ID", id))
}
