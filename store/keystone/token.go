package keystone

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
)

// Token is what Keystone says about somebody's token.
type Token struct {
	// Roles are by name.
	Roles   []string
	Expires time.Time
}

// ErrInvalidToken tells that Keystone does not know a token, or not any more.
var ErrInvalidToken = errors.New("the token is not valid")

// Look asks about a token. The error is ErrInvalidToken, or why Keystone could not be asked.
func (s *Session) Look(ctx context.Context, token string) (Token, error) {
	provider, err := s.Provider(ctx)
	if err != nil {
		return Token{}, err
	}
	identity, err := openstack.NewIdentityV3(provider, gophercloud.EndpointOpts{})
	if err != nil {
		return Token{}, failure(s.cfg.AuthURL, err)
	}
	result := tokens.Get(ctx, identity, token)
	if gophercloud.ResponseCodeIs(result.Err, http.StatusNotFound) {
		return Token{}, ErrInvalidToken
	}
	if result.Err != nil {
		return Token{}, failure(s.cfg.AuthURL, result.Err)
	}
	known, err := result.ExtractToken()
	if err != nil {
		return Token{}, fmt.Errorf("reading what Keystone says about a token: %w", err)
	}
	roles, err := result.ExtractRoles()
	if err != nil {
		return Token{}, fmt.Errorf("reading the roles of a token: %w", err)
	}
	out := Token{Expires: known.ExpiresAt}
	for _, role := range roles {
		out.Roles = append(out.Roles, role.Name)
	}
	return out, nil
}
