package mold_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/mold"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

func open(t *testing.T, cfg mold.Config) *mold.Store {
	t.Helper()
	cfg.Attempts, cfg.Timeout = 2, 5*time.Second
	s, err := mold.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func task() *drivers.Task {
	return &drivers.Task{Node: &store.Node{UUID: "node-1"}, Log: zerolog.Nop()}
}

// server keeps what is put, and lets in who has the header.
func server(t *testing.T, header, value string) (url string, kept *string) {
	t.Helper()
	kept = new(string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(header) != value {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method == http.MethodPut {
			text, _ := io.ReadAll(r.Body)
			*kept = string(text)
			w.WriteHeader(http.StatusCreated)
			return
		}
		if *kept == "none" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, *kept)
	}))
	t.Cleanup(s.Close)
	return s.URL, kept
}

func TestAWebServer(t *testing.T) {
	at, kept := server(t, "Authorization", "Basic dXNlcjpzM2NyZXQ=")
	s := open(t, mold.Config{User: "user", Password: "s3cret"})
	if err := s.Put(t.Context(), task(), at+"/m.json", map[string]any{"oem": map[string]any{"interface": "x"}}); err != nil {
		t.Fatal(err)
	}
	const want = "{\n  \"oem\": {\n    \"interface\": \"x\"\n  }\n}"
	if *kept != want {
		t.Errorf("kept %s", *kept)
	}
	if got, err := s.Get(t.Context(), task(), at+"/m.json"); err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	for content, want := range map[string]string{
		"":         "Configuration mold for node node-1 at " + at + "/m.json is empty",
		"<a>":      "Configuration mold for node node-1 at " + at + "/m.json has invalid JSON",
		"{\"a\":1": "has invalid JSON",
	} {
		*kept = content
		if _, err := s.Get(t.Context(), task(), at+"/m.json?signature=s3cret"); store.KindOf(err) != store.IronicException ||
			!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", content, err)
		}
	}
	*kept = "none"
	if got, err := s.Get(t.Context(), task(), at); err != nil || got != nil {
		t.Errorf("no content: %s, %v", got, err)
	}
	stranger := open(t, mold.Config{})
	if _, err := stranger.Get(t.Context(), task(), at+"/m.json"); err == nil ||
		err.Error() != "401 Client Error: Unauthorized for url: "+at+"/m.json" {
		t.Errorf("%v", err)
	}
}

func TestSwift(t *testing.T) {
	at, kept := server(t, "X-Auth-Token", "")
	*kept = "{}"
	s := open(t, mold.Config{Swift: &keystone.ServiceConfig{Config: keystone.Config{Group: "swift", AuthType: keystone.AuthNone, Timeout: time.Second},
		ServiceType: "object-store", EndpointOverride: at + "/v1/AUTH_1"}})
	_, err := s.Get(t.Context(), task(), "http://192.0.2.1/v1/AUTH_1/c/o")
	if store.KindOf(err) != store.InvalidParameterValue || err.Error() != "Supplied URL for a mold target does not match the swift configuration." {
		t.Errorf("%v", err)
	}
	_, err = s.Get(t.Context(), task(), at+"/v1/AUTH_1/c/o")
	if store.KindOf(err) != store.IronicException || err.Error() != "Missing auth_token for configuration mold access for node node-1" {
		t.Errorf("%v", err)
	}
}

// A server that cannot be reached is tried again, one that refuses is not.
func TestAServerThatIsAway(t *testing.T) {
	var tries atomic.Int32
	var away int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) > away {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		connection, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			connection.Close()
		}
	}))
	t.Cleanup(server.Close)
	s := open(t, mold.Config{})
	if _, err := s.Get(t.Context(), task(), server.URL); err == nil || tries.Load() != 1 ||
		!strings.HasPrefix(err.Error(), "502 Server Error: Bad Gateway for url: ") {
		t.Errorf("%v after %d tries", err, tries.Load())
	}
	tries.Store(0)
	away = 9
	if err := s.Put(t.Context(), task(), server.URL, "x"); err == nil || tries.Load() != 2 {
		t.Errorf("%v after %d tries", err, tries.Load())
	}
	if err := s.Put(t.Context(), task(), "http://bad host/", "x"); store.KindOf(err) != store.InvalidParameterValue {
		t.Errorf("%v", err)
	}
}

// Who is sent elsewhere does not take Swift's token there.
func TestATokenStaysWithSwift(t *testing.T) {
	got := make(chan http.Header, 1)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(elsewhere.Close)
	var token atomic.Value
	mux := http.NewServeMux()
	swift := httptest.NewServer(mux)
	t.Cleanup(swift.Close)
	mux.HandleFunc("POST /v3/auth/tokens", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Subject-Token", "s3cret")
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"token":{"expires_at":"2999-01-01T00:00:00.000000Z","catalog":[]}}`)
	})
	mux.HandleFunc("GET /v1/AUTH_1/", func(w http.ResponseWriter, r *http.Request) {
		token.Store(r.Header.Get("X-Auth-Token"))
		http.Redirect(w, r, elsewhere.URL, http.StatusFound)
	})
	s := open(t, mold.Config{Swift: &keystone.ServiceConfig{Config: keystone.Config{Group: "swift", AuthType: keystone.AuthPassword, Timeout: time.Second,
		AuthURL: swift.URL + "/v3", Username: "ironic", Password: "x", UserDomainName: "Default", ProjectName: "service", ProjectDomainName: "Default"},
		ServiceType: "object-store", EndpointOverride: swift.URL + "/v1/AUTH_1"}})
	if _, err := s.Get(t.Context(), task(), swift.URL+"/v1/AUTH_1/c/o"); err != nil || token.Load() != "s3cret" {
		t.Fatalf("%v, token %v", err, token.Load())
	}
	if h := <-got; h.Get("X-Auth-Token") != "" {
		t.Errorf("elsewhere got %v", h)
	}
}

// Whatever Swift or a web server answers, it is a JSON document, none, or an error without what is secret in the URL.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"bios": {"apply_configuration": true}}`, "<html>", `{"a":1`, "[1e999]", "\xff"} {
		for _, code := range []int{200, 201, 204, 301, 404, 503} {
			f.Add(code, []byte(seed))
		}
	}
	var code int
	var text []byte
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = w.Write(text)
	}))
	f.Cleanup(web.Close)
	s, err := mold.New(mold.Config{Attempts: 1, Timeout: 5 * time.Second})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, status int, answer []byte) {
		if status < 200 || status > 599 {
			return
		}
		code, text = status, answer
		got, err := s.Get(t.Context(), task(), web.URL+"/m.json?signature=s3cret")
		if err != nil && strings.Contains(err.Error(), "s3cret") || err == nil && got != nil && !json.Valid(got) {
			t.Errorf("%d %q: %q, %v", status, answer, got, err)
		}
	})
}
