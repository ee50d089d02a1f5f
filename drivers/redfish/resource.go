package redfish

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/stmcginnis/gofish/schemas"
)

// rawLink is a link to another resource.
type rawLink struct {
	Path string `json:"@odata.id"`
}

// missing is a resource that lacks what an operation needs, in sushy's words.
type missing struct{ attribute, resource string }

func (e *missing) Error() string {
	return fmt.Sprintf("The attribute %s is missing from the resource %s", e.attribute, e.resource)
}

// linked is where a property of a resource leads to. Its error is *missing when the resource has none.
func linked(resource string, text []byte, property string) (string, error) {
	var properties map[string]json.RawMessage
	if err := json.Unmarshal(text, &properties); err != nil {
		return "", &notRedfish{http.MethodGet, resource, err.Error()}
	}
	var link rawLink
	if raw, ok := properties[property]; !ok || json.Unmarshal(raw, &link) != nil || link.Path == "" {
		return "", &missing{property, resource}
	}
	return link.Path, nil
}

// service is the path of one of the services that the service root names.
func (s *system) service(name string) (string, error) {
	var root json.RawMessage
	if err := s.Read(schemas.DefaultServiceRoot, &root); err != nil {
		return "", err
	}
	return linked(schemas.DefaultServiceRoot, root, name)
}

// members are the paths of a collection's members.
func (s *system) members(collection string) ([]string, error) {
	found, err := schemas.GetCollection(s.api, collection)
	if err != nil {
		return nil, err
	}
	return found.ItemLinks, nil
}

// exchange sends a request with a body, and returns an answer that is no refusal. Its body has been read.
func (s *system) exchange(method, path string, payload any) (*http.Response, []byte, error) {
	body, err := json.Marshal(payload)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a request to a BMC: %w", err)
	}
	request, err := http.NewRequestWithContext(s.ctx, method, s.session.address+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, fmt.Errorf("building a request to a BMC: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := s.session.RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode >= http.StatusBadRequest {
		err = schemas.ConstructError(answer.StatusCode, text)
	}
	return answer, text, err
}

// send asks for a change. monitor is where the BMC tells how it goes, "" when it is done.
func (s *system) send(method, path string, payload any) (monitor string, err error) {
	answer, text, err := s.exchange(method, path, payload)
	if err != nil || answer.StatusCode != http.StatusAccepted {
		return "", err
	}
	monitor, ok := monitorOf(answer, text)
	if !ok {
		return "", &notRedfish{method, path, "it was accepted without a Location"}
	}
	return monitor, nil
}

// monitorOf is where an answer says that the work goes on.
func monitorOf(answer *http.Response, text []byte) (path string, ok bool) {
	var task rawLink
	_ = json.Unmarshal(text, &task) // A body is no duty here.
	if task.Path == "" {
		task.Path = answer.Header.Get("Location")
	}
	where, err := url.Parse(task.Path)
	if err != nil || where.Path == "" {
		return "", false
	}
	return where.Path, true
}

// task is how work stands that a BMC goes on with by itself.
type task struct {
	State    string `json:"TaskState"`
	Status   string `json:"TaskStatus"`
	Messages []struct{ Message, MessageID string }
	// accepted tells that the monitor says the work goes on, whatever its body.
	accepted bool
}

// activeStates are those of a Task that has not ended (Task.v1_7, TaskState).
var activeStates = []string{"New", "Starting", "Running", "Suspended", "Interrupted", "Pending", "Stopping", "Service"}

func (t task) active() bool { return t.accepted || slices.Contains(activeStates, t.State) }

// begun tells that the work itself is under way, and does not wait for the machine to start.
func (t task) begun() bool {
	return t.State == "Running" || t.State == "Stopping" || t.State == "Service"
}

// succeeded tells that the work ended well. A monitor whose body is no task has nothing to complain of.
func (t task) succeeded() bool {
	return t.State == "" || t.State == "Completed" && (t.Status == "" || t.Status == "OK" || t.Status == "Warning")
}

// messages are the task's, by their names where they have no words.
func (t task) messages() []string {
	var all []string
	for _, m := range t.Messages {
		all = append(all, cmp.Or(m.Message, m.MessageID))
	}
	return all
}

// named are the messages, by their names also where their words are that they are unknown.
func (t task) named() []string {
	all := t.messages()
	for i, text := range all {
		if lower := strings.ToLower(text); lower == "unknown" || lower == "unknown error" {
			all[i] = cmp.Or(t.Messages[i].MessageID, text)
		}
	}
	return all
}

// told are the task's messages in one line.
func (t task) told() string { return shorten(strings.Join(t.messages(), ", ")) }

// look reads a task or its monitor. gone tells that the BMC knows it no more: it forgets tasks that have ended.
func (s *system) look(monitor string) (state task, gone bool, err error) {
	answer, err := s.api.Get(monitor)
	if statusOf(err) == http.StatusNotFound {
		return task{}, true, nil
	}
	if err != nil {
		return task{}, false, err
	}
	defer schemas.DeferredCleanupHTTPResponse(answer)
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return task{}, false, err
	}
	state.accepted = answer.StatusCode == http.StatusAccepted
	if len(bytes.TrimSpace(text)) > 0 {
		if err := json.Unmarshal(text, &state); err != nil {
			return task{}, false, &notRedfish{http.MethodGet, monitor, err.Error()}
		}
	}
	return state, false, nil
}

// activeTasks are the tasks of the service that have not ended. A service that has none to show has none.
func (s *system) activeTasks() ([]string, error) {
	paths, err := s.allTasks()
	var none *missing
	if errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var active []string
	for _, one := range paths {
		state, gone, err := s.look(one)
		if err != nil {
			return nil, err
		}
		if !gone && state.active() {
			active = append(active, one)
		}
	}
	return active, nil
}

func (s *system) allTasks() ([]string, error) {
	path, err := s.service("Tasks")
	if err != nil {
		return nil, err
	}
	var service json.RawMessage
	if err := s.Read(path, &service); err != nil {
		return nil, err
	}
	collection, err := linked(path, service, "Tasks")
	if err != nil {
		return nil, err
	}
	return s.members(collection)
}

func isMissing(err error) bool {
	var none *missing
	return errors.As(err, &none)
}
