// Package mold keeps configuration molds: JSON documents behind URLs, of a web server or in Swift, from which steps read how a machine
// is to be set up, and into which they write how one is (ironic/common/molds.py; ironic 37.0 has no molds any more).
package mold

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// Config says where molds are ([molds]).
type Config struct {
	// Swift says that they are objects of Swift, reached as its service account; otherwise a web server has them, which knows User and
	// Password by basic authentication, where they are set.
	Swift          *keystone.ServiceConfig
	User, Password string
	// Attempts is how often a server that cannot be reached is tried, Interval the pause in between.
	Attempts int
	Interval time.Duration
	// Timeout bounds one request.
	Timeout time.Duration
}

// Store reads and writes molds.
type Store struct {
	cfg   Config
	http  *http.Client
	swift *keystone.Service
}

// New returns a store. It asks nobody yet.
func New(cfg Config) (*Store, error) {
	transport, err := keystone.NewTransport(cfg.Timeout, keystone.TLS{})
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for configuration molds: %w", err)
	}
	s := &Store{cfg: cfg, http: newClient(transport, cfg.Timeout)}
	if cfg.Swift == nil {
		return s, nil
	}
	session, err := keystone.NewTransport(cfg.Timeout, cfg.Swift.TLS)
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for Swift: %w", err)
	}
	s.http = newClient(session, cfg.Timeout)
	s.swift = keystone.NewService(*cfg.Swift, s.http)
	return s, nil
}

// token is the header by which Swift knows whom it serves.
const token = "X-Auth-Token"

// newClient bounds a whole request, its body included, and keeps Swift's token from servers that others send it to. Go does so with the
// password.
func newClient(transport http.RoundTripper, timeout time.Duration) *http.Client {
	const most = 10
	return &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(request *http.Request, via []*http.Request) error {
		if len(via) >= most {
			return fmt.Errorf("%s redirects more than %d times", via[0].URL.Host, most)
		}
		if request.URL.Host != via[0].URL.Host || request.URL.Scheme != via[0].URL.Scheme {
			request.Header.Del(token)
		}
		return nil
	}}
}

// largest is what a mold may be at most. Real ones are below a megabyte.
const largest = 16 << 20

// Get reads the mold at a URL for a node. It is nil when the server answers without one. Errors name the URL without what may be a secret
// in it.
func (s *Store) Get(ctx context.Context, t *drivers.Task, where string) (json.RawMessage, error) {
	answer, err := s.ask(ctx, t, http.MethodGet, where, nil)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, nil
	}
	text, err := io.ReadAll(io.LimitReader(answer.Body, largest+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the configuration mold at %s: %w", shown(where), err)
	case len(text) > largest:
		return nil, store.Errorf(store.IronicException, "Configuration mold for node %s at %s is larger than %d bytes", t.Node.UUID, shown(where),
			largest)
	case len(text) == 0:
		return nil, store.Errorf(store.IronicException, "Configuration mold for node %s at %s is empty", t.Node.UUID, shown(where))
	case !json.Valid(text):
		return nil, store.Errorf(store.IronicException, "Configuration mold for node %s at %s has invalid JSON", t.Node.UUID, shown(where))
	}
	return text, nil
}

// Put writes a mold to a URL.
func (s *Store) Put(ctx context.Context, t *drivers.Task, where string, document any) error {
	const indent = "  "
	text, err := json.MarshalIndent(document, "", indent)
	if err != nil {
		return fmt.Errorf("encoding a configuration mold: %w", err)
	}
	answer, err := s.ask(ctx, t, http.MethodPut, where, text)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}

// ask sends one request, again while the server cannot be reached. A refusal is an error in the words of Python's requests.
func (s *Store) ask(ctx context.Context, t *drivers.Task, method, where string, body []byte) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		answer, err := s.send(ctx, t, method, where, body)
		if err == nil {
			return answer, refusal(answer, where)
		}
		if attempt >= s.cfg.Attempts || ctx.Err() != nil || !store.Unreachable(err) {
			return nil, err
		}
		if err := drivers.Pause(ctx, s.cfg.Interval); err != nil {
			return nil, err
		}
	}
}

func refusal(answer *http.Response, where string) error {
	if answer.StatusCode < http.StatusBadRequest {
		return nil
	}
	answer.Body.Close()
	side := "Client"
	if answer.StatusCode >= http.StatusInternalServerError {
		side = "Server"
	}
	return fmt.Errorf("%d %s Error: %s for url: %s", answer.StatusCode, side, http.StatusText(answer.StatusCode), shown(where))
}

func (s *Store) send(ctx context.Context, t *drivers.Task, method, where string, body []byte) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, where, bytes.NewReader(body))
	if err != nil {
		return nil, store.Errorf(store.InvalidParameterValue, "the URL of a configuration mold is malformed")
	}
	if err := s.authorize(ctx, t, request); err != nil {
		return nil, err
	}
	answer, err := s.http.Do(request)
	var address *url.Error
	if errors.As(err, &address) {
		err = address.Err
	}
	if err != nil {
		return nil, fmt.Errorf("asking %s for a configuration mold: %w", request.URL.Host, err)
	}
	return answer, nil
}

func (s *Store) authorize(ctx context.Context, t *drivers.Task, request *http.Request) error {
	if s.swift == nil {
		if s.cfg.User != "" && s.cfg.Password != "" {
			request.SetBasicAuth(s.cfg.User, s.cfg.Password)
		}
		return nil
	}
	client, endpoint, err := s.swift.Client(ctx)
	if err != nil {
		return err
	}
	at, err := url.Parse(endpoint)
	if err != nil || at.Host != request.URL.Host {
		return store.Errorf(store.InvalidParameterValue, "Supplied URL for a mold target does not match the swift configuration.")
	}
	value := client.Token()
	if value == "" {
		return store.Errorf(store.IronicException, "Missing auth_token for configuration mold access for node %s", t.Node.UUID)
	}
	request.Header.Set(token, value)
	return nil
}

// shown is a URL without what may be a secret in it.
func shown(where string) string {
	u, err := url.Parse(where)
	if err != nil {
		return "a malformed URL"
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}
