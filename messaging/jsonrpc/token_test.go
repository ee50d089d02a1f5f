package jsonrpc

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store/keystone"
)

// fakeReader knows tokens by name, and counts how often it is asked.
type fakeReader struct {
	mu     sync.Mutex
	tokens map[string]keystone.Token
	// failures are left before it answers.
	failures int
	asked    int
}

func (f *fakeReader) Look(_ context.Context, token string) (keystone.Token, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	if f.failures > 0 {
		f.failures--
		return keystone.Token{}, errors.New("connection refused")
	}
	if known, ok := f.tokens[token]; ok {
		return known, nil
	}
	return keystone.Token{}, keystone.ErrInvalidToken
}

func TestTokenAuth(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	reader := &fakeReader{tokens: map[string]keystone.Token{
		"admin":  {Roles: []string{"reader", "admin"}, Expires: now.Add(time.Hour)},
		"short":  {Roles: []string{"service"}, Expires: now.Add(time.Minute)},
		"reader": {Roles: []string{"reader"}, Expires: now.Add(time.Hour)},
		"old":    {Roles: []string{"admin"}, Expires: now},
	}}
	var clock sync.Mutex
	auth := NewTokenAuth(reader, TokenConfig{Roles: []string{"admin", "service"}, CacheTime: 5 * time.Minute, Timeout: time.Minute,
		Keystone: "http://keystone:5000", Log: zerolog.Nop(), Now: func() time.Time {
			clock.Lock()
			defer clock.Unlock()
			return now
		}})
	r := serve(t, Config{Auth: auth}, echo)
	ask := func(token string) int {
		t.Helper()
		status, body, header := r.do(t, http.MethodPost, echoed, func(r *http.Request) { r.Header.Set("X-Auth-Token", token) })
		const challenge, refused = `Keystone uri="http://keystone:5000"`,
			`{"error": {"code": 401, "title": "Unauthorized", "message": "The request you have made requires authentication."}}`
		if got := header.Get("WWW-Authenticate"); (got == challenge) != (status == http.StatusUnauthorized) || (body == refused) != (status == http.StatusUnauthorized) {
			t.Errorf("%q was answered %d %s with challenge %q", token, status, body, got)
		}
		return status
	}
	for _, c := range []struct {
		token         string
		status, asked int
	}{
		{"admin", 200, 1}, {" admin ", 200, 0}, {"short", 200, 1}, {"reader", 403, 1}, {"reader", 403, 0},
		{"", 401, 0}, {"unknown", 401, 1}, {"unknown", 401, 1}, {"old", 401, 1},
	} {
		before := reader.asked
		if status := ask(c.token); status != c.status || reader.asked-before != c.asked {
			t.Errorf("%q was answered %d after %d questions, want %d after %d", c.token, status, reader.asked-before, c.status, c.asked)
		}
	}
	// What was said holds for a while, and no longer than the token.
	clock.Lock()
	now = now.Add(2 * time.Minute)
	clock.Unlock()
	if a, b := ask("short"), ask("admin"); a != 401 || b != 200 {
		t.Errorf("after two minutes: short %d, admin %d", a, b)
	}
	delete(reader.tokens, "admin")
	clock.Lock()
	now = now.Add(4 * time.Minute)
	clock.Unlock()
	if status := ask("admin"); status != 401 {
		t.Errorf("a revoked token is answered %d", status)
	}
}

func TestAKeystoneThatIsAwayIsAskedAgain(t *testing.T) {
	reader := &fakeReader{failures: 1, tokens: map[string]keystone.Token{"admin": {Roles: []string{"admin"}, Expires: time.Now().Add(time.Hour)}}}
	cfg := TokenConfig{Roles: []string{"admin"}, CacheTime: -time.Second, Timeout: time.Minute, Retries: 1, Log: zerolog.Nop()}
	r := serve(t, Config{Auth: NewTokenAuth(reader, cfg)}, echo)
	as := func(r *http.Request) { r.Header.Set("X-Auth-Token", "admin") }
	if status, body, _ := r.do(t, http.MethodPost, echoed, as); status != http.StatusOK {
		t.Errorf("answered %d %s", status, body)
	}
	reader.failures = 2
	if status, body, _ := r.do(t, http.MethodPost, echoed, as); status != http.StatusServiceUnavailable {
		t.Errorf("with a Keystone that stays away: %d %s", status, body)
	}
}
