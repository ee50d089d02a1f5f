// Package redfishtest serves recorded Redfish trees of vendors' BMCs, which take changes as the real ones would: for the tests of
// drivers.
package redfishtest

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The account that a Tree knows.
const (
	User     = "Administrator"
	Password = "s3cret-pass"
)

// Object is a JSON object.
type Object = map[string]any

// Tree is a BMC that shows a recorded tree. Paths are told apart as the recorded ones tell them: neither by case nor by a slash at the
// end.
type Tree struct {
	// URL is where it is served, over TLS.
	URL string

	t         *testing.T
	mu        sync.Mutex
	resources map[string]Object
	changes   []string
	// on answers changes before the tree does, with the path as it was asked for; it returns false for those that the tree shall answer.
	on func(tr *Tree, method, path string, body Object) (status int, answer Object, done bool)
}

// Open serves the tree in a file: an object with the path of each resource as its name. on may answer changes of its own.
func Open(t *testing.T, file string, on func(*Tree, string, string, Object) (int, Object, bool)) *Tree {
	t.Helper()
	return Serve(t, Read(t, file), on)
}

// Read returns the resources in a file, for Serve and New.
func Read(t *testing.T, file string) map[string]Object {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var recorded map[string]Object
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	return recorded
}

// New returns a tree for a server of the test's own.
func New(t *testing.T, resources map[string]Object, on func(*Tree, string, string, Object) (int, Object, bool)) *Tree {
	tr := &Tree{t: t, resources: map[string]Object{}, on: on}
	for path, resource := range resources {
		tr.resources[key(path)] = resource
	}
	return tr
}

// Serve serves a tree that a test has made itself.
func Serve(t *testing.T, resources map[string]Object, on func(*Tree, string, string, Object) (int, Object, bool)) *Tree {
	t.Helper()
	tr := New(t, resources, on)
	server := httptest.NewTLSServer(tr)
	t.Cleanup(server.Close)
	tr.URL = server.URL
	return tr
}

func key(path string) string { return strings.ToLower(strings.TrimRight(path, "/")) }

// Changes returns what was asked to be changed since the last call: method, path and body.
func (tr *Tree) Changes() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	out := tr.changes
	tr.changes = nil
	return out
}

// Set changes a resource, or makes it.
func (tr *Tree) Set(path string, properties Object) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.Merge(path, properties)
}

// Merge is Set for a function that answers changes.
func (tr *Tree) Merge(path string, properties Object) {
	if tr.resources[key(path)] == nil {
		tr.resources[key(path)] = Object{"@odata.id": path}
	}
	merge(tr.resources[key(path)], properties)
}

// Remove takes a resource away.
func (tr *Tree) Remove(path string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	delete(tr.resources, key(path))
}

// Value digs a property out of a resource.
func (tr *Tree) Value(path string, keys ...string) any {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var value any = tr.resources[key(path)]
	for _, k := range keys {
		object, _ := value.(Object)
		value = object[k]
	}
	return value
}

func merge(into, from Object) {
	for name, value := range from {
		object, isObject := value.(Object)
		old, wasObject := into[name].(Object)
		if isObject && wasObject {
			merge(old, object)
			continue
		}
		into[name] = value
	}
}

// ServeHTTP answers one request.
func (tr *Tree) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	text, _ := io.ReadAll(r.Body)
	body := Object{}
	_ = json.Unmarshal(text, &body)
	path := strings.TrimRight(r.URL.Path, "/")
	name, secret, _ := r.BasicAuth()
	switch {
	case key(path) == "/redfish/v1":
	case r.Method == http.MethodPost && strings.HasSuffix(key(path), "/sessions"):
		if body["UserName"] != User || body["Password"] != Password {
			refuse(w, http.StatusUnauthorized, "Base.0.10.NoValidSession")
			return
		}
		w.Header().Set("X-Auth-Token", "token")
		w.Header().Set("Location", path+"/1")
		reply(w, http.StatusCreated, Object{})
		return
	case r.Header.Get("X-Auth-Token") != "token" && (name != User || secret != Password):
		refuse(w, http.StatusUnauthorized, "Base.0.10.NoValidSession")
		return
	case r.Method == http.MethodDelete && strings.Contains(key(path), "/sessions/"):
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.Method == http.MethodGet {
		resource := tr.resources[key(path)]
		if resource == nil {
			refuse(w, http.StatusNotFound, "Base.0.10.ResourceMissingAtURI")
			return
		}
		reply(w, http.StatusOK, resource)
		return
	}
	tr.changes = append(tr.changes, r.Method+" "+r.URL.Path+" "+string(text))
	if tr.on != nil {
		if status, answer, done := tr.on(tr, r.Method, r.URL.Path, body); done {
			if location, ok := answer["Location"].(string); ok {
				w.Header().Set("Location", location)
			}
			reply(w, status, answer)
			return
		}
	}
	tr.change(w, r.Method, path, body)
}

// change does what the standard says of a PATCH and of the actions that every tree has.
func (tr *Tree) change(w http.ResponseWriter, method, path string, body Object) {
	at, action, isAction := strings.Cut(path, "/Actions/")
	resource := tr.resources[key(at)]
	switch {
	case resource == nil:
		refuse(w, http.StatusNotFound, "Base.0.10.ResourceMissingAtURI")
		return
	case isAction:
		if !tr.Act(at, action[strings.LastIndex(action, ".")+1:], body) {
			refuse(w, http.StatusBadRequest, "Base.0.10.ActionNotSupported")
			return
		}
	case method == http.MethodPatch:
		merge(resource, body)
	default:
		refuse(w, http.StatusMethodNotAllowed, "Base.0.10.GeneralError")
		return
	}
	reply(w, http.StatusOK, Object{"error": Object{"@Message.ExtendedInfo": []any{Object{"MessageId": "Base.0.10.Success"}}}})
}

// Act carries out an action of a resource; it tells whether the tree knows the action.
func (tr *Tree) Act(at, action string, body Object) bool {
	on := Object{"PowerState": "On"}
	off := Object{"PowerState": "Off"}
	switch action {
	case "Reset":
		if body["ResetType"] == "ForceOff" || body["ResetType"] == "GracefulShutdown" {
			tr.Merge(at, off)
		} else if body["ResetType"] != "Nmi" {
			tr.Merge(at, on)
		}
	case "InsertMedia", "InsertVirtualMedia":
		tr.Merge(at, Object{"Image": body["Image"], "Inserted": true})
	case "EjectMedia", "EjectVirtualMedia":
		tr.Merge(at, Object{"Image": nil, "Inserted": false})
	case "ResetKeys":
	default:
		return false
	}
	return true
}

func reply(w http.ResponseWriter, status int, body Object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// Refusal is the body of an error with the name of a message.
func Refusal(message string) Object {
	return Object{"error": Object{"code": "Base.1.0.GeneralError", "message": "See @Message.ExtendedInfo for more information.",
		"@Message.ExtendedInfo": []any{Object{"MessageId": message, "Message": "The request was refused."}}}}
}

func refuse(w http.ResponseWriter, status int, message string) { reply(w, status, Refusal(message)) }

// Paths lists the resources.
func (tr *Tree) Paths() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Sorted(maps.Keys(tr.resources))
}
