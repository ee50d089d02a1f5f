package redfish

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/stmcginnis/gofish/schemas"
)

// authenticate prepares the credentials for the requests to come.
func (s *session) authenticate(ctx context.Context) error {
	if err := s.line.Enter(ctx); err != nil {
		return err
	}
	defer s.line.Leave()
	return s.login(ctx)
}

// login opens a session (DSP0266 §13.3.4). With auth type auto a BMC that has no sessions, or refuses this one, gets basic
// authentication instead, unless sessions worked there before: then something else is wrong. The caller has the turn.
func (s *session) login(ctx context.Context) error {
	switch {
	case s.username == "":
		return nil
	case s.auth == authBasic:
		s.basic = true
		return nil
	}
	err := s.open(ctx)
	switch {
	case err == nil:
		s.worked = true
		return nil
	case s.auth == authAuto && !s.worked && statusOf(err) != 0:
		s.basic = true
		return nil
	case statusOf(err) != 0:
		return &loginRefused{err}
	}
	return err
}

// open creates a session at the BMC.
func (s *session) open(ctx context.Context) error {
	payload, err := json.Marshal(map[string]string{"UserName": s.username, "Password": s.password})
	if err != nil {
		return fmt.Errorf("encoding a login: %w", err)
	}
	answer, err := s.request(ctx, http.MethodPost, s.sessionsPath(), payload)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return fmt.Errorf("reading the answer to a login: %w", err)
	}
	token := answer.Header.Get("X-Auth-Token")
	switch {
	case answer.StatusCode >= 300:
		return schemas.ConstructError(answer.StatusCode, body)
	case token == "":
		// As good as having no sessions: nothing can be done with this one.
		return schemas.ConstructError(http.StatusNotFound, []byte(`{"error":{"code":"","message":"no X-Auth-Token"}}`))
	}
	s.token, s.sessionURL = token, sessionPath(answer.Header.Get("Location"), body)
	return nil
}

// sessionPath finds the session's own resource, to log out with. Some BMCs name themselves by a foreign host there.
func sessionPath(location string, body []byte) string {
	if u, err := url.Parse(location); err == nil && u.Path != "" {
		return u.EscapedPath()
	}
	var resource struct {
		Path string `json:"@odata.id"`
	}
	if json.Unmarshal(body, &resource) != nil {
		return ""
	}
	return resource.Path
}

func (s *session) sessionsPath() string {
	if path := s.root.Links.Sessions.String(); path != "" {
		return path
	}
	service := cmp.Or(s.root.SessionService.String(), "/redfish/v1/SessionService")
	return strings.TrimRight(service, "/") + "/Sessions"
}

// request sends something outside gofish. The caller has the turn.
func (s *session) request(ctx context.Context, method, path string, payload []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.address+path, bytes.NewReader(payload))
	if err != nil {
		return nil, fmt.Errorf("building a request to a BMC: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	if len(payload) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	return s.persist(req)
}

// logout ends the session at the BMC and closes the connection. BMCs allow few sessions and keep them for long. One that is
// silent is not asked.
func (s *session) logout(ctx context.Context) error {
	defer s.http.CloseIdleConnections()
	if s.line.Silent() {
		return nil
	}
	if err := s.line.Enter(ctx); err != nil {
		return err
	}
	defer s.line.Leave()
	return s.end(ctx)
}

// end ends the session at the BMC, if there is one. The caller has the turn.
func (s *session) end(ctx context.Context) error {
	if s.token == "" || s.sessionURL == "" {
		return nil
	}
	answer, err := s.request(ctx, http.MethodDelete, s.sessionURL, nil)
	s.token, s.sessionURL = "", ""
	if err != nil {
		return errors.New(s.explain(err))
	}
	if answer.StatusCode >= 300 && answer.StatusCode != http.StatusNotFound && answer.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("%s answered HTTP %d to the end of a session", s.address, answer.StatusCode)
	}
	return nil
}
