package keystone

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// fakeKeystone lets the user ironic in and knows one token beside. Its first login lasts for a moment only.
type fakeKeystone struct {
	*httptest.Server
	logins atomic.Int32
	// refuse is the status that questions about tokens get instead of an answer.
	refuse atomic.Int32
	// ended are tokens of the service that Keystone does not take any more.
	ended atomic.Int32
}

func newFakeKeystone(t *testing.T) *fakeKeystone {
	k := &fakeKeystone{}
	mux := http.NewServeMux()
	expires := time.Now().Add(time.Hour).UTC().Format("2006-01-02T15:04:05.000000Z")
	mux.HandleFunc("POST /v3/auth/tokens", func(w http.ResponseWriter, r *http.Request) {
		var asked json.RawMessage
		if json.NewDecoder(r.Body).Decode(&asked) != nil || !strings.Contains(string(asked), `"password":"pw"`) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("X-Subject-Token", fmt.Sprintf("service-%d", k.logins.Add(1)))
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token": {"expires_at": %q, "issued_at": %q, "catalog": []}}`, expires, expires)
	})
	mux.HandleFunc("GET /v3/auth/tokens", func(w http.ResponseWriter, r *http.Request) {
		switch {
		case k.refuse.Load() != 0:
			w.WriteHeader(int(k.refuse.Load()))
		case r.Header.Get("X-Auth-Token") != fmt.Sprintf("service-%d", k.logins.Load()) || k.ended.Load() == k.logins.Load():
			w.WriteHeader(http.StatusUnauthorized)
		case r.Header.Get("X-Subject-Token") != "good":
			w.WriteHeader(http.StatusNotFound)
		default:
			w.Header().Set("X-Subject-Token", "good")
			fmt.Fprintf(w, `{"token": {"expires_at": %q, "issued_at": %q, "roles": [{"id": "1", "name": "admin"},
				{"id": "2", "name": "service"}], "methods": ["password"]}}`, expires, expires)
		}
	})
	k.Server = httptest.NewServer(mux)
	t.Cleanup(k.Close)
	return k
}

func session(k *fakeKeystone, password string) *Session {
	return NewSession(Config{Group: "keystone_authtoken", AuthType: AuthPassword, AuthURL: k.URL + "/v3", Username: "ironic",
		Password: password, UserDomainID: "default", ProjectName: "service", ProjectDomainID: "default"}, k.Client())
}

func TestLookTellsRolesAndEnd(t *testing.T) {
	k := newFakeKeystone(t)
	s := session(k, "pw")
	for range 2 {
		token, err := s.Look(t.Context(), "good")
		if err != nil || !slices.Equal(token.Roles, []string{"admin", "service"}) || time.Until(token.Expires) < 50*time.Minute {
			t.Errorf("told %+v, %v", token, err)
		}
	}
	if n := k.logins.Load(); n != 1 {
		t.Errorf("logged in %d times", n)
	}
	if _, err := s.Look(t.Context(), "bad"); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("a token that Keystone does not know: %v", err)
	}
	// A service whose own token was revoked logs in again.
	k.ended.Store(1)
	if _, err := s.Look(t.Context(), "good"); err != nil || k.logins.Load() != 2 {
		t.Errorf("after a revocation: %v, %d logins", err, k.logins.Load())
	}
}

func TestAKeystoneThatCannotTell(t *testing.T) {
	k := newFakeKeystone(t)
	k.refuse.Store(http.StatusServiceUnavailable)
	if _, err := session(k, "pw").Look(t.Context(), "good"); store.KindOf(err) != KindFailure || !strings.Contains(err.Error(), "503") {
		t.Errorf("a Keystone that is busy: %v", err)
	}
	if _, err := session(k, "wrong").Look(t.Context(), "good"); store.KindOf(err) != KindUnauthorized {
		t.Errorf("a service that Keystone does not know: %v", err)
	}
	k.Close()
	_, err := session(k, "pw").Look(t.Context(), "good")
	if store.KindOf(err) != KindFailure || strings.Contains(err.Error(), "good") || strings.Contains(err.Error(), "pw") {
		t.Errorf("a Keystone that is away: %v", err)
	}
}
