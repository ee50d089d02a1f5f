package jsonrpc

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store/keystone"
)

// TokenConfig says whose tokens are taken.
type TokenConfig struct {
	// Roles are those of which a caller needs one.
	Roles []string
	// CacheTime is how long what Keystone said about a token holds; nothing is kept when it is not above zero.
	CacheTime time.Duration
	// Keystone is where callers are told to get a token.
	Keystone string
	// Timeout bounds one look at a token, with its retries.
	Timeout time.Duration
	// Retries is how often Keystone is asked again when it does not answer.
	Retries int
	Log     zerolog.Logger
	// Now is the clock; nil stands for the system's.
	Now func() time.Time
}

// TokenReader tells about tokens. Its error is keystone.ErrInvalidToken, or why it can't tell.
type TokenReader interface {
	Look(ctx context.Context, token string) (keystone.Token, error)
}

// TokenAuth lets in who shows a valid token of Keystone with one of the roles, as keystonemiddleware does.
type TokenAuth struct {
	cfg    TokenConfig
	reader TokenReader

	mu sync.Mutex
	// seen are tokens looked at lately, by their hash.
	seen map[[sha256.Size]byte]seenToken
}

type seenToken struct {
	keystone.Token
	until time.Time
}

const (
	// maxSeen bounds how many tokens are remembered: ironic-api's processes have one each.
	maxSeen = 1000
	// retryPause is the wait before Keystone is asked again.
	retryPause = 500 * time.Millisecond
)

// NewTokenAuth asks reader about tokens. It asks nothing yet: Keystone may be down at a start.
func NewTokenAuth(reader TokenReader, cfg TokenConfig) *TokenAuth {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &TokenAuth{cfg: cfg, reader: reader, seen: map[[sha256.Size]byte]seenToken{}}
}

// Authenticate is Authenticator.
func (a *TokenAuth) Authenticate(r *http.Request) *Answer {
	secret := strings.TrimSpace(r.Header.Get("X-Auth-Token"))
	if secret == "" {
		return a.challenge()
	}
	token, err := a.look(r.Context(), secret)
	switch {
	case errors.Is(err, keystone.ErrInvalidToken):
		a.cfg.Log.Info().Str("peer", r.RemoteAddr).Msg("A request came with a token that is not valid")
		return a.challenge()
	case err != nil:
		a.cfg.Log.Error().Err(err).Msg("A token could not be validated")
		return refusal(http.StatusServiceUnavailable, "The Keystone service is temporarily unavailable.")
	case !slices.ContainsFunc(token.Roles, func(role string) bool { return slices.Contains(a.cfg.Roles, role) }):
		a.cfg.Log.Info().Str("peer", r.RemoteAddr).Strs("roles", token.Roles).Strs("allowed", a.cfg.Roles).
			Msg("A request came with a token of other roles")
		return refusal(http.StatusForbidden, "Forbidden")
	}
	return nil
}

// look tells about a token that has not run out, from memory if it can.
func (a *TokenAuth) look(ctx context.Context, secret string) (keystone.Token, error) {
	key := sha256.Sum256([]byte(secret))
	a.mu.Lock()
	seen, ok := a.seen[key]
	a.mu.Unlock()
	if now := a.cfg.Now(); ok && now.Before(seen.until) && now.Before(seen.Expires) {
		return seen.Token, nil
	}
	token, err := a.ask(ctx, secret)
	if err != nil {
		return token, err
	}
	now := a.cfg.Now()
	if !now.Before(token.Expires) {
		return token, keystone.ErrInvalidToken
	}
	a.remember(key, seenToken{token, now.Add(a.cfg.CacheTime)}, now)
	return token, nil
}

func (a *TokenAuth) remember(key [sha256.Size]byte, t seenToken, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.seen) >= maxSeen {
		clear(a.seen)
	}
	if now.Before(t.until) {
		a.seen[key] = t
	}
}

// ask asks Keystone, again when it does not answer.
func (a *TokenAuth) ask(ctx context.Context, secret string) (token keystone.Token, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	for attempt := 0; ; attempt++ {
		token, err = a.reader.Look(ctx, secret)
		if err == nil || errors.Is(err, keystone.ErrInvalidToken) || attempt >= a.cfg.Retries {
			return token, err
		}
		select {
		case <-time.After(retryPause):
		case <-ctx.Done():
			return token, err
		}
	}
}

// challenge asks for a token, in keystonemiddleware's words.
func (a *TokenAuth) challenge() *Answer {
	return &Answer{
		Status: http.StatusUnauthorized,
		Header: http.Header{"Www-Authenticate": {`Keystone uri="` + a.cfg.Keystone + `"`}},
		Body: []byte(`{"error": {"code": 401, "title": "Unauthorized", ` +
			`"message": "The request you have made requires authentication."}}`),
	}
}
