// Package neutrontest stands in for Neutron in tests: the part of the Networking API v2.0 that ironic uses
// (https://docs.openstack.org/api-ref/network/v2/), in memory.
package neutrontest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Object is a port, a network or whatever else the API knows, by its attributes.
type Object map[string]any

// Server is a Neutron.
type Server struct {
	*httptest.Server

	mu      sync.Mutex
	objects map[string]map[string]Object // by collection, such as ports, and id
	asked   []string
	made    int
	refuse  func(method, path string, body Object) int
}

// New starts an empty Neutron that ends with the test.
func New(t testing.TB) *Server {
	s := &Server{}
	s.Reset()
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

// Reset empties it.
func (s *Server) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects, s.asked, s.made, s.refuse = map[string]map[string]Object{}, nil, 0, nil
}

// Add puts an object into a collection, with its attribute id.
func (s *Server) Add(collection string, o Object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.put(collection, o)
}

func (s *Server) put(collection string, o Object) {
	if s.objects[collection] == nil {
		s.objects[collection] = map[string]Object{}
	}
	s.objects[collection][o["id"].(string)] = o
}

// Port returns what a port is like now, nil when there is none.
func (s *Server) Port(id string) Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.objects["ports"][id])
}

// Ports returns all ports, in the order in which they were made.
func (s *Server) Ports() []Object {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Object
	for _, id := range slices.Sorted(maps.Keys(s.objects["ports"])) {
		all = append(all, maps.Clone(s.objects["ports"][id]))
	}
	return all
}

// Changes returns the requests so far that were more than questions, as "PUT /ports/x {body}".
func (s *Server) Changes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.asked), func(asked string) bool { return strings.HasPrefix(asked, "GET ") })
}

// Refuse has requests answered with an HTTP code where f returns one. A negative code carries the request out and then breaks
// the connection: its answer is lost.
func (s *Server) Refuse(f func(method, path string, body Object) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = f
}

type refusal struct {
	code       int
	kind, text string
}

// ServeHTTP is http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := strings.TrimPrefix(r.URL.Path, "/v2.0")
	if strings.Trim(path, "/") == "" {
		// Where OpenStack's SDK looks which versions there are.
		write(w, http.StatusOK, Object{"versions": []any{Object{"id": "v2.0", "status": "CURRENT",
			"links": []any{Object{"rel": "self", "href": s.URL + "/v2.0/"}}}}})
		return
	}
	var document map[string]Object
	_ = json.NewDecoder(r.Body).Decode(&document)
	collection, id, _ := strings.Cut(strings.Trim(path, "/"), "/")
	body := document[strings.TrimSuffix(collection, "s")]
	asked := r.Method + " " + path
	if r.URL.RawQuery != "" {
		asked += "?" + r.URL.Query().Encode()
	}
	if body != nil {
		text, _ := json.Marshal(body)
		asked += " " + string(text)
	}
	s.asked = append(s.asked, asked)
	code := 0
	if s.refuse != nil {
		code = s.refuse(r.Method, path, body)
	}
	if code > 0 {
		write(w, code, Object{"NeutronError": Object{"type": "Refused", "message": "not today", "detail": ""}})
		return
	}
	answer, refused := s.answer(r, collection, id, body)
	switch {
	case code < 0:
		panic(http.ErrAbortHandler)
	case refused.code != 0:
		write(w, refused.code, Object{"NeutronError": Object{"type": refused.kind, "message": refused.text, "detail": ""}})
	case answer == nil:
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPost:
		write(w, http.StatusCreated, answer)
	default:
		write(w, http.StatusOK, answer)
	}
}

func write(w http.ResponseWriter, code int, document any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(document)
}

func (s *Server) answer(r *http.Request, collection, id string, body Object) (Object, refusal) {
	one := strings.ReplaceAll(strings.TrimSuffix(collection, "s"), "-", "_")
	o := s.objects[collection][id]
	switch {
	case r.Method == http.MethodPost:
		return Object{one: s.create(collection, body)}, refusal{}
	case id == "":
		return Object{strings.ReplaceAll(collection, "-", "_"): s.list(collection, r.URL.Query())}, refusal{}
	case o == nil:
		name := strings.ToUpper(one[:1]) + one[1:]
		return nil, refusal{http.StatusNotFound, name + "NotFound", fmt.Sprintf("%s %s could not be found.", name, id)}
	case r.Method == http.MethodDelete:
		delete(s.objects[collection], id)
		return nil, refusal{}
	case r.Method == http.MethodPut:
		return Object{one: o}, s.update(o, body)
	}
	return Object{one: o}, refusal{}
}

func (s *Server) create(collection string, body Object) Object {
	s.made++
	o := Object{"id": fmt.Sprintf("made-%03d", s.made), "name": "", "mac_address": fmt.Sprintf("fa:16:3e:00:00:%02x", s.made),
		"device_id": "", "device_owner": "", "binding:host_id": "", "binding:vif_type": "unbound", "binding:profile": Object{},
		"binding:vnic_type": "normal", "status": "DOWN", "fixed_ips": []any{Object{"subnet_id": "subnet", "ip_address": "10.0.0.7"}}}
	maps.Copy(o, body)
	s.put(collection, o)
	return o
}

// update refuses another MAC address for a port that is bound, as Neutron does.
func (s *Server) update(o, body Object) refusal {
	host, given := body["binding:host_id"]
	if !given {
		host = o["binding:host_id"]
	}
	mac, changed := body["mac_address"]
	if changed && o["binding:host_id"] != "" && o["binding:host_id"] == host && mac != o["mac_address"] {
		return refusal{http.StatusConflict, "PortBound", fmt.Sprintf("Unable to complete operation on port %v, port is already bound",
			o["id"])}
	}
	maps.Copy(o, body)
	if changed && mac == nil {
		s.made++
		o["mac_address"] = fmt.Sprintf("fa:16:3e:00:01:%02x", s.made)
	}
	if given {
		o["status"], o["binding:vif_type"] = "ACTIVE", "other"
		if host == "" {
			o["status"], o["binding:vif_type"] = "DOWN", "unbound"
		}
	}
	return refusal{}
}

func (s *Server) list(collection string, filter map[string][]string) []Object {
	found := []Object{}
	for _, id := range slices.Sorted(maps.Keys(s.objects[collection])) {
		o := s.objects[collection][id]
		fits := true
		for key, values := range filter {
			value, _ := o[key].(string)
			fits = fits && (key == "marker" || key == "limit" || slices.Contains(values, value))
		}
		if fits {
			found = append(found, o)
		}
	}
	return found
}
