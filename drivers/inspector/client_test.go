package inspector

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// service answers as ironic-inspector does, and notes what it is asked.
type service struct {
	*httptest.Server
	asked   []string
	answers map[string]string // by method and path; one that begins with a number has that code
}

func startService(t *testing.T, answers map[string]string) *service {
	t.Helper()
	s := &service{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		user, password, _ := r.BasicAuth()
		s.asked = append(s.asked, strings.TrimSpace(fmt.Sprintf("%s %s %s %s%s", r.Method, r.URL.RequestURI(), body, user, password)))
		answer, known := s.answers[r.Method+" "+r.URL.Path]
		code := http.StatusOK
		if !known {
			code, answer = http.StatusNotFound, `{"error":{"message":"Could not find node n"}}`
		}
		if _, err := fmt.Sscanf(answer, "%d ", &code); err == nil {
			answer = answer[4:]
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) client(t *testing.T, change func(*Config)) *Client {
	t.Helper()
	cfg := Config{NotFound: "ResourceNotFound", ServiceConfig: keystone.ServiceConfig{Config: keystone.Config{Group: "inspector",
		AuthType: keystone.AuthHTTPBasic, Username: "u", Password: "p"}, EndpointOverride: s.URL}}
	if change != nil {
		change(&cfg)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func (s *service) expect(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Join(s.asked, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("asked\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestRequestsToInspector(t *testing.T) {
	s := startService(t, map[string]string{"POST /v1/introspection/n": "202 ", "POST /v1/introspection/n/abort": "202 ",
		"GET /v1/introspection/n":      `{"finished": false, "state": "waiting", "error": null, "uuid": "n"}`,
		"GET /v1/introspection/n/data": `{"inventory": {"memory": 17179869184000001}, "x": 1}`, "POST /v1/continue": `{"uuid": "n"}`})
	// The version may be part of the endpoint.
	for _, end := range []string{"", "/", "/v1", "/v1/"} {
		s.asked = nil
		c := s.client(t, func(cfg *Config) { cfg.EndpointOverride += end })
		if err := c.Start(t.Context(), "n", true); err != nil {
			t.Error(err)
		}
		if err := c.Start(t.Context(), "n", false); err != nil {
			t.Error(err)
		}
		if err := c.Abort(t.Context(), "n"); err != nil {
			t.Error(err)
		}
		if status, err := c.Status(t.Context(), "n"); err != nil || *status != (Status{State: Waiting}) {
			t.Errorf("status %v, %v", status, err)
		}
		data, err := c.Data(t.Context(), "n")
		if err != nil || data.Dict("inventory")["memory"] != json.Number("17179869184000001") {
			t.Errorf("data %v, %v", data, err)
		}
		if err := c.Continue(t.Context(), store.Dict{"y": 2}); err != nil {
			t.Error(err)
		}
		s.expect(t, `POST /v1/introspection/n?manage_boot=False {"uuid":"n"} up`, `POST /v1/introspection/n {"uuid":"n"} up`,
			`POST /v1/introspection/n/abort  up`, `GET /v1/introspection/n  up`, `GET /v1/introspection/n/data  up`,
			`POST /v1/continue {"y":2} up`)
	}
}

func TestRefusalsOfInspector(t *testing.T) {
	s := startService(t, map[string]string{"POST /v1/introspection/n": `400 {"error": {"message": "Wrong state"}}`,
		"POST /v1/introspection/n/abort": `409 {"error": {"message": "Node is locked, please, retry later"}}`,
		"GET /v1/introspection/n":        `500 {`, "GET /v1/introspection/n/data": `[]`})
	c := s.client(t, nil)
	for what, got := range map[string]error{
		"BadRequestException: 400: Client Error for url: URL/v1/introspection/n, Wrong state":                                               c.Start(t.Context(), "n", false),
		"Failed to abort introspection for node n: Client Error for url: URL/v1/introspection/n/abort, Node is locked, please, retry later": c.Abort(t.Context(), "n"),
		"ResourceNotFound: 404: Client Error for url: URL/v1/continue, Could not find node n":                                               c.Continue(t.Context(), nil),
		"HttpException: 500: Server Error for url: URL/v1/introspection/n, Internal Server Error": func() error {
			_, err := c.Status(t.Context(), "n")
			return err
		}(),
	} {
		if want := strings.ReplaceAll(what, "URL", s.URL); got == nil || got.Error() != want {
			t.Errorf("got  %v\nwant %s", got, want)
		}
	}
	if _, err := c.Data(t.Context(), "n"); err == nil {
		t.Error("a list is no findings")
	}
	// What the service does not know is over already, or has never been.
	if err := c.Abort(t.Context(), "m"); err != nil {
		t.Error(err)
	}
	if status, err := c.Status(t.Context(), "m"); status != nil || err != nil {
		t.Errorf("status %v, %v", status, err)
	}
	s.Close()
	if err := c.Start(t.Context(), "n", false); !store.Unreachable(err) {
		t.Errorf("a service that is away: %v", err)
	}
}

func TestCallbackOfRamdisks(t *testing.T) {
	for _, c := range []struct{ override, endpoint, want string }{
		{"", "http://192.0.2.1:5050", "http://192.0.2.1:5050/v1/continue"},
		{"", "http://192.0.2.1:5050/v1", "http://192.0.2.1:5050/v1/continue"},
		{"https://[2001:db8::1]/inspector/", "http://127.0.0.1:5050", "https://[2001:db8::1]/inspector/v1/continue"},
		{"mdns", "http://127.0.0.1:5050", "mdns"},
		{"", "http://127.0.0.1:5050", "Loopback address 127.0.0.1 cannot be used as an introspection callback URL"},
		{"http://localhost:5050", "http://192.0.2.1", "Loopback address localhost cannot be used as an introspection callback URL"},
		{"http://[::1]:5050", "http://192.0.2.1", "Loopback address ::1 cannot be used as an introspection callback URL"},
	} {
		client, err := New(Config{Callback: c.override, ServiceConfig: keystone.ServiceConfig{
			Config: keystone.Config{AuthType: keystone.AuthNone}, EndpointOverride: c.endpoint}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := client.Callback(t.Context())
		if err != nil {
			got = err.Error()
			if store.KindOf(err) != store.InvalidParameterValue {
				t.Errorf("%v is of another kind", err)
			}
		}
		if got != c.want {
			t.Errorf("override %q, endpoint %q: got %q, want %q", c.override, c.endpoint, got, c.want)
		}
	}
	// Nobody says where the service is.
	client, err := New(Config{ServiceConfig: keystone.ServiceConfig{Config: keystone.Config{AuthType: keystone.AuthNone}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := client.Callback(t.Context()); store.KindOf(err) != keystone.KindCatalogNotFound {
		t.Errorf("got %q, %v", got, err)
	}
}

// answering is a service that gives one answer to everything.
type answering struct {
	code int
	text []byte
}

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.code, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(bytes.NewReader(a.text))}, nil
}

// Whatever is answered, either it is something or an error, which does not have the password.
func FuzzAnswers(f *testing.F) {
	for _, seed := range []string{`{"finished": false, "state": "waiting", "error": null}`, `{"finished": "yes"}`, `null`, `[]`, `{`,
		`{"inventory": {"memory": 17179869184000001}}`, `{"error": {"message": "Wrong state"}}`, `{"error": {"message": 7}, "x": null}`} {
		for _, code := range []int{200, 202, 204, 400, 404, 500} {
			f.Add(code, []byte(seed))
		}
	}
	c, err := New(Config{ServiceConfig: keystone.ServiceConfig{Config: keystone.Config{Group: "inspector",
		AuthType: keystone.AuthHTTPBasic, Username: "u", Password: "s3cret-pass"}, EndpointOverride: "http://192.0.2.1:5050"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, code int, text []byte) {
		if code < 200 || code > 599 || bytes.Contains(text, []byte("s3cret-pass")) {
			return
		}
		c.http.Transport = answering{code, text}
		status, err := c.Status(t.Context(), "n")
		if err == nil && (status == nil) != (code == http.StatusNotFound) {
			t.Errorf("%d %s: the status is %v", code, text, status)
		}
		data, failure := c.Data(t.Context(), "n")
		if failure == nil && (data == nil || code >= 300) {
			t.Errorf("%d %s: what was found is %v", code, text, data)
		}
		for _, err := range []error{err, failure, c.Start(t.Context(), "n", true), c.Abort(t.Context(), "n")} {
			if err != nil && strings.Contains(err.Error(), "s3cret-pass") {
				t.Error(err)
			}
		}
	})
}
