package redfish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/stmcginnis/gofish"
	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bmc"
)

// maxAnswer bounds what a BMC may send in one answer. Real resources are below 100 KiB.
const maxAnswer = 4 << 20

// session is one logged-in connection to a BMC. It is gofish's HTTP transport, one request at a time, and takes care of
// what gofish leaves to its callers: logging in again when the BMC forgot the session, bounds, and answers that are not
// Redfish.
type session struct {
	target
	cfg  Config
	http *http.Transport
	line *bmc.Line

	// The line's turn guards these.
	token      string
	sessionURL string
	basic      bool
	// worked tells that a session was established before: then basic authentication is no fallback any more.
	worked bool

	// connecting is held while api is built. api carries no context of its own; use it through WithContext.
	connecting chan struct{}
	api        *gofish.APIClient
	root       root

	// The client's lock guards these.
	users int
	used  time.Time
}

// root is the part of the service root that a session needs.
type root struct {
	RedfishVersion string
	Vendor         string
	Links          struct{ Sessions schemas.Link }
	SessionService schemas.Link
	Systems        schemas.Link
}

// newSession prepares a session that has no line yet.
func newSession(t target, cfg Config) (*session, error) {
	security, err := TLSConfig(t.verify, t.dialect)
	if err != nil {
		return nil, err
	}
	if t.timeout > 0 {
		cfg.ConnectTimeout, cfg.ReadTimeout = t.timeout, t.timeout
	}
	return &session{
		target: t,
		cfg:    cfg,
		http: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: cfg.ConnectTimeout}).DialContext,
			TLSClientConfig:       security,
			TLSHandshakeTimeout:   cfg.ConnectTimeout,
			ResponseHeaderTimeout: cfg.ReadTimeout,
			MaxIdleConns:          1,
			// Longer than the pauses of polling; a fleet's connections are not worth keeping for more.
			IdleConnTimeout: 10 * time.Second,
		},
		connecting: make(chan struct{}, 1),
	}, nil
}

// connect reads the service root and logs in, once for all users of the session, and returns a client for ctx.
func (s *session) connect(ctx context.Context) (*gofish.APIClient, error) {
	// Those who wait here for one who finds out that the BMC is silent need not find out again.
	first := bmc.WithAsking(ctx, bmc.Asking{Routine: bmc.AskingOf(ctx).Routine, Since: time.Now()})
	if err := bmc.Enter(ctx, s.connecting); err != nil {
		return nil, err
	}
	defer bmc.Leave(s.connecting)
	if s.api == nil {
		api, err := gofish.ConnectContext(first, gofish.ClientConfig{
			Endpoint:          s.address,
			HTTPClient:        &http.Client{Transport: s, CheckRedirect: sameServer},
			NoModifyTransport: true,
			ReuseConnections:  true,
		})
		if err != nil {
			return nil, err
		}
		if err := s.authenticate(first); err != nil {
			return nil, err
		}
		s.api = api
	}
	return s.api.WithContext(ctx), nil
}

// sameServer keeps credentials from following a redirect elsewhere, and changes from being sent twice.
func sameServer(req *http.Request, via []*http.Request) error {
	if first := via[0]; first.Method != http.MethodGet || req.URL.Host != first.URL.Host ||
		req.URL.Scheme != first.URL.Scheme || len(via) > 3 {
		return http.ErrUseLastResponse
	}
	return nil
}

// maxRenewals is how often one request may find its session gone.
const maxRenewals = 3

// RoundTrip sends one request of gofish's. A lost session is renewed, and what certainly did not reach the BMC, or may be
// asked twice, is tried again.
func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	if err := s.line.Enter(ctx); err != nil {
		return nil, err
	}
	defer s.line.Leave()
	answer, err := s.persist(req)
	for renewal := 0; renewal < maxRenewals; renewal++ {
		if err != nil || answer.StatusCode != http.StatusUnauthorized || s.token == "" {
			break
		}
		if renewal > 0 {
			// A session that is refused as soon as it was opened may be alive and lack a privilege. It must not stay behind.
			if err := s.end(ctx); err != nil && ctx.Err() != nil {
				return nil, err
			}
		}
		s.token, s.sessionURL = "", ""
		if err := s.login(ctx); err != nil {
			if statusOf(err) == 0 {
				return nil, err
			}
			return answer, nil
		}
		answer, err = s.persist(req)
	}
	return answer, err
}

// persist sends a request until the BMC has answered, at most as often as configured. The pauses in between bridge a BMC that
// restarts. One that is silent, or that nobody waits for, is not waited for longer than these pauses take together.
func (s *session) persist(req *http.Request) (*http.Response, error) {
	began, bridge := time.Now(), time.Duration(s.cfg.ConnectionAttempts-1)*s.cfg.RetryInterval
	for attempt := 1; ; attempt++ {
		answer, err := s.send(req)
		again := false
		switch {
		case req.Context().Err() != nil:
		case err != nil:
			again = unreachable(err) && !untrusted(err) && (req.Method == http.MethodGet || neverSent(err))
		default:
			again = req.Method == http.MethodGet && answer.StatusCode >= http.StatusInternalServerError &&
				answer.StatusCode != http.StatusNotImplemented
		}
		brief := bmc.AskingOf(req.Context()).Routine || s.line.Silent()
		if !again || attempt >= s.cfg.ConnectionAttempts || brief && time.Since(began) >= bridge {
			return answer, err
		}
		if err := drivers.Pause(req.Context(), s.cfg.RetryInterval); err != nil {
			return nil, err
		}
	}
}

// neverSent tells that the BMC cannot have seen the request.
func neverSent(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}

// send sends a request once and notes whether the BMC answered; whoever listens hears of it.
func (s *session) send(req *http.Request) (*http.Response, error) {
	began := time.Now()
	answer, err := s.exchange(req)
	if req.Context().Err() == nil {
		if err != nil && unanswered(err) {
			s.line.Unanswered(err)
		} else {
			s.line.Answered()
		}
	}
	heard := drivers.Exchange{With: drivers.WithBMC, Asked: req.Method + " " + quietPath(req.URL.Path), Took: time.Since(began)}
	switch {
	case err != nil:
		heard.Err = errors.New(s.explain(err))
	case answer.StatusCode >= http.StatusBadRequest:
		heard.Err = errors.New("HTTP " + answer.Status)
	default:
		heard.Answer = "HTTP " + strconv.Itoa(answer.StatusCode)
	}
	drivers.Overhear(req.Context(), heard)
	return answer, err
}

// quietPath is a path without the name of a session, which some BMCs take for the session itself.
func quietPath(path string) string {
	if at := strings.Index(path, "/Sessions/"); at >= 0 {
		return path[:at] + "/Sessions/..."
	}
	return path
}

// exchange sends a request once and reads the whole answer.
func (s *session) exchange(req *http.Request) (*http.Response, error) {
	caller := req.Context()
	ctx, cancel := context.WithTimeout(caller, s.cfg.ConnectTimeout+s.cfg.ReadTimeout)
	defer cancel()
	req, err := s.dress(req.Clone(ctx))
	if err != nil {
		return nil, err
	}
	answer, err := s.http.RoundTrip(req)
	if err != nil {
		return nil, s.slow(caller, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	if err != nil {
		return nil, s.slow(caller, err)
	}
	if err := s.check(req, answer, body); err != nil {
		// The rest of a huge answer is not worth reading; the connection goes with it.
		return nil, err
	}
	answer.Body = io.NopCloser(bytes.NewReader(body))
	answer.ContentLength = int64(len(body))
	return answer, nil
}

// slow tells a BMC that does not answer from a caller who has given up.
func (s *session) slow(caller context.Context, err error) error {
	var network net.Error
	switch {
	case caller.Err() != nil:
		return caller.Err()
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		if neverSent(err) {
			return &tooSlow{s.cfg.ConnectTimeout}
		}
		return &tooSlow{s.cfg.ReadTimeout}
	}
	return err
}

// dress adds the credentials, the right place of the service root, and a fresh body.
func (s *session) dress(req *http.Request) (*http.Request, error) {
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			return nil, fmt.Errorf("repeating a request to a BMC: %w", err)
		}
		req.Body = body
	}
	if s.prefix != "" && req.URL.Path == schemas.DefaultServiceRoot {
		u, err := url.Parse(s.address + s.prefix)
		if err != nil {
			return nil, fmt.Errorf("building the URL of the service root: %w", err)
		}
		req.URL = u
	}
	req.Header.Set("OData-Version", "4.0")
	switch {
	case s.token != "":
		req.Header.Set("X-Auth-Token", s.token)
	case s.basic:
		req.SetBasicAuth(s.username, s.password)
	}
	return req, nil
}

// check refuses answers that no Redfish service gives, and learns from the service root.
func (s *session) check(req *http.Request, answer *http.Response, body []byte) error {
	foreign := &notRedfish{method: req.Method, path: req.URL.Path}
	if len(body) > maxAnswer {
		foreign.problem = fmt.Sprintf("more than %d MiB", maxAnswer>>20)
		return foreign
	}
	isRoot := req.Method == http.MethodGet && (req.URL.Path == schemas.DefaultServiceRoot || req.URL.EscapedPath() == s.prefix)
	if answer.StatusCode >= 300 {
		if isRoot && answer.StatusCode == http.StatusNotFound {
			foreign.problem = "HTTP 404 Not Found"
			return foreign
		}
		return nil
	}
	if req.Method != http.MethodGet {
		return nil
	}
	text := bytes.TrimSpace(body)
	switch {
	case len(text) == 0:
		foreign.problem = "it is empty"
	case text[0] != '{' || !json.Valid(text):
		foreign.problem = "it begins with " + fmt.Sprintf("%q", shorten(string(text[:min(len(text), 40)])))
	case isRoot:
		var r root
		if err := json.Unmarshal(text, &r); err != nil || r.RedfishVersion == "" && r.Systems == "" {
			foreign.problem = "the service root names neither a RedfishVersion nor Systems"
			return foreign
		}
		s.root = r
		return nil
	default:
		return nil
	}
	return foreign
}
