package oslo

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestContextIsTolerant(t *testing.T) {
	r, err := DecodeRequest(envelope(t, []byte(`{"method": "x", "_context_user_id": "u", "_context_project": "p",
		"_context_is_admin": "yes", "_context_roles": ["admin", 1], "_context_request_id": 5, "_context_new_thing": {},
		"_context_user_name": "ada"}`)), DefaultMaxSize)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Context
	if c.User != "u" || c.ProjectID != "p" || c.IsAdmin || !c.IsAdminProject || c.Roles != nil || c.RequestID != "" ||
		c.UserName != "ada" {
		t.Errorf("%+v", []any{c.User, c.ProjectID, c.IsAdmin, c.IsAdminProject, c.Roles, c.RequestID, c.UserName})
	}
}

func TestContextKeepsSecrets(t *testing.T) {
	c := AdminContext()
	c.AuthToken = "hunter2"
	c.AuthTokenInfo = json.RawMessage(`{"token": "hunter2"}`)
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v", c), fmt.Sprintf("%#v", c), fmt.Sprintf("%+v", Request{Context: c})} {
		if strings.Contains(text, "hunter2") || !strings.Contains(text, c.RequestID) {
			t.Errorf("formatted as %s", text)
		}
	}
	n := Notification{EventType: "e", Context: c, Payload: json.RawMessage(`{}`)}
	body, err := n.Encode()
	if err != nil || strings.Contains(string(body), "hunter2") {
		t.Errorf("notification %s (%v)", body, err)
	}
}
