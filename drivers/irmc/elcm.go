package irmc

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
)

// eLCM keeps what it reads of a machine as profiles. Reading one from the machine, and bringing values into it, are sessions, which restart
// the machine into a program of the iRMC's.
const (
	profilesAt = "/rest/v1/Oem/eLCM/ProfileManagement/"
	sessionsAt = "/sessionInformation/"

	profileBIOS = "BiosConfig"
	biosAt      = "Server/SystemConfig/" + profileBIOS
)

// Sessions end within sessionTimeout, and are looked at sessionPause apart by those who wait for one.
const (
	sessionTimeout = 30 * time.Minute
	sessionPause   = 5 * time.Second
)

// sessionEnded is the status of a session that has done its work; those in sessionActive are of one that goes on. Any other failed.
const sessionEnded = "terminated regularly"

var sessionActive = map[string]bool{"running": true, "activated": true}

// refusal is an answer that is not the wanted one.
type refusal struct {
	what   string
	status int
}

func (e *refusal) Error() string { return fmt.Sprintf("%s with error code %d", e.what, e.status) }

// elcm sends a request and reads the answer when it is the wanted one.
func (r *rest) elcm(ctx context.Context, method, path string, query url.Values, body any, wanted int, what string, into any) error {
	var text []byte
	contentType := ""
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		// So upstream sends BIOS settings; the body is JSON all the same.
		contentType = "application/x-www-form-urlencoded"
	}
	status, answer, err := r.ask(ctx, method, path, query, contentType, text)
	switch {
	case err != nil:
		return err
	case status != wanted:
		return &refusal{what, status}
	case into == nil:
		return nil
	}
	return decode(answer, into)
}

// decode reads an answer of eLCM: lines of "key: value" may stand before the JSON, which is the last line.
func decode(text []byte, into any) error {
	if i := strings.LastIndex(string(text), "\r\n"); i >= 0 {
		text = text[i+2:]
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("eLCM response does not contain valid json data: %w", err)
	}
	return nil
}

// profile reads a profile; nil stands for none.
func (r *rest) profile(ctx context.Context, name string) (profile map[string]any, err error) {
	err = r.elcm(ctx, http.MethodGet, profilesAt+name, nil, nil, http.StatusOK, fmt.Sprintf("Failed to get profile %q", name), &profile)
	if absent(err) {
		return nil, nil
	}
	return profile, err
}

// absent tells that an iRMC does not know what it was asked for.
func absent(err error) bool {
	refused, ok := err.(*refusal) //nolint:errorlint // it comes as it is
	return ok && refused.status == http.StatusNotFound
}

// session is what eLCM answers to what it goes on with by itself.
type session struct {
	Session struct {
		ID     any `json:"Id"`
		Status string
	}
}

func (s session) id() string { return fmt.Sprint(s.Session.ID) }

// readProfile has eLCM read a part of the machine into a profile.
func (r *rest) readProfile(ctx context.Context, path string) (string, error) {
	var s session
	err := r.elcm(ctx, http.MethodPost, profilesAt+"get", url.Values{"PARAM_PATH": {path}}, nil, http.StatusAccepted,
		fmt.Sprintf("Failed to create profile for path %q", path), &s)
	return s.id(), err
}

// writeProfile has eLCM bring values into the machine.
func (r *rest) writeProfile(ctx context.Context, values map[string]any) (string, error) {
	var s session
	err := r.elcm(ctx, http.MethodPost, profilesAt+"set", nil, values, http.StatusAccepted, "Failed to apply param values", &s)
	return s.id(), err
}

// sessionOver tells whether a session has done its work. Its error has the log of one that failed; what is what it was to do.
func (r *rest) sessionOver(ctx context.Context, id, what string) (bool, error) {
	var s session
	at := sessionsAt + url.PathEscape(id)
	err := r.elcm(ctx, http.MethodGet, at+"/status", nil, nil, http.StatusOK, fmt.Sprintf("Failed to get status of session %q", id), &s)
	switch {
	case err != nil:
		return false, err
	case sessionActive[s.Session.Status]:
		return false, nil
	case s.Session.Status == sessionEnded:
		return true, nil
	}
	var log json.RawMessage
	if err := r.elcm(ctx, http.MethodGet, at+"/log", nil, nil, http.StatusOK, fmt.Sprintf("Failed to get log of session %q", id), &log); err != nil {
		return false, err
	}
	return false, &fault{fmt.Sprintf("Failed to %s config. Session log is \"%s\".", what, log)}
}

// fault is what eLCM did not do, in the words of ironic.
type fault struct{ text string }

func (e *fault) Error() string { return e.text }

// forgetSession takes a session that is over from the iRMC's list.
func (r *rest) forgetSession(ctx context.Context, id string) error {
	return r.elcm(ctx, http.MethodDelete, sessionsAt+url.PathEscape(id)+"/remove", nil, nil, http.StatusOK,
		fmt.Sprintf("Failed to remove session %q", id), nil)
}

// await waits for the end of a session.
func (r *rest) await(ctx context.Context, id, what string, pause time.Duration) error {
	for deadline := time.Now().Add(sessionTimeout); ; {
		over, err := r.sessionOver(ctx, id, what)
		if err != nil || over {
			return err
		}
		if time.Now().After(deadline) {
			return &fault{fmt.Sprintf("Failed to %s config. Session %s log is timeout.", what, id)}
		}
		if err := drivers.Pause(ctx, pause); err != nil {
			return err
		}
	}
}
