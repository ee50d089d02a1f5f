package jsonrpc

import (
	"bufio"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"
)

// BasicAuth lets in whom an Apache user file names, with bcrypt passwords. The file is read anew for each request, so
// that changes count at once.
type BasicAuth struct {
	file string
	log  zerolog.Logger

	// known are the users whose password was right, so that bcrypt, which is meant to be slow, is not asked for each of
	// their requests. What is kept of a password can't be used elsewhere.
	mu    sync.Mutex
	key   []byte
	known map[string]proof
	// slow lets one password be looked at at a time: guessing does not take all processors.
	slow sync.Mutex
}

// proof is that a password belongs to an entry of the file.
type proof struct {
	hash string
	mac  [sha256.Size]byte
}

// NewBasicAuth reads the file once, to find out whether it can be used.
func NewBasicAuth(file string, log zerolog.Logger) (*BasicAuth, error) {
	b := &BasicAuth{file: file, log: log, key: make([]byte, sha256.Size), known: map[string]proof{}}
	if _, err := rand.Read(b.key); err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return b, b.eachEntry(func(user, hash string) (bool, error) {
		return true, checkHash(user, hash)
	})
}

// eachEntry calls with for the entries of the file until it says otherwise.
func (b *BasicAuth) eachEntry(with func(user, hash string) (more bool, err error)) error {
	f, err := os.Open(b.file)
	if err != nil {
		return fmt.Errorf("reading the users: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		user, hash, ok := strings.Cut(strings.TrimSpace(lines.Text()), ":")
		if !ok {
			continue
		}
		if more, err := with(user, hash); err != nil || !more {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading the users: %w", err)
	}
	return nil
}

func checkHash(user, hash string) error {
	for _, prefix := range []string{"$2y$", "$2a$", "$2b$"} {
		if strings.HasPrefix(hash, prefix) {
			return nil
		}
	}
	return fmt.Errorf("only bcrypt digested passwords are supported for %s (htpasswd -B makes them)", user)
}

// Authenticate is Authenticator.
func (b *BasicAuth) Authenticate(r *http.Request) *Answer {
	header := r.Header.Get("Authorization")
	if header == "" {
		return unauthorized("Authorization required")
	}
	scheme, token, ok := strings.Cut(strings.TrimSpace(header), " ")
	if !ok {
		return refusal(http.StatusBadRequest, "Could not parse Authorization header")
	}
	if !strings.EqualFold(scheme, "basic") {
		return refusal(http.StatusBadRequest, fmt.Sprintf("Unsupported authorization type %q", scheme))
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(token))
	user, password, ok := strings.Cut(string(pair), ":")
	if err != nil || !ok {
		return refusal(http.StatusBadRequest, "Could not decode authorization token")
	}
	right, err := b.check(user, password)
	if err != nil {
		b.log.Error().Err(err).Msg("A request could not be authenticated")
		return refusal(http.StatusInternalServerError, "Invalid configuration file. Problem reading auth user file")
	}
	if !right {
		b.log.Info().Str("user", user).Str("peer", r.RemoteAddr).Msg("A request came with a wrong user or password")
		return unauthorized("Incorrect username or password")
	}
	return nil
}

// check tells whether the password is the user's.
func (b *BasicAuth) check(user, password string) (right bool, err error) {
	found := ""
	err = b.eachEntry(func(name, hash string) (bool, error) {
		if name != user {
			return true, nil
		}
		found = hash
		return false, checkHash(name, hash)
	})
	if err != nil || found == "" {
		return false, err
	}
	given := proof{hash: found, mac: b.mac(password)}
	b.mu.Lock()
	kept, ok := b.known[user]
	b.mu.Unlock()
	if ok && kept.hash == given.hash && hmac.Equal(kept.mac[:], given.mac[:]) {
		return true, nil
	}
	b.slow.Lock()
	defer b.slow.Unlock()
	switch err := bcrypt.CompareHashAndPassword([]byte(found), []byte(password)); {
	case errors.Is(err, bcrypt.ErrMismatchedHashAndPassword):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("checking the password of %s: %w", user, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.known[user] = given
	return true, nil
}

func (b *BasicAuth) mac(password string) (sum [sha256.Size]byte) {
	h := hmac.New(sha256.New, b.key)
	h.Write([]byte(password))
	copy(sum[:], h.Sum(nil))
	return sum
}

func unauthorized(message string) *Answer {
	a := refusal(http.StatusUnauthorized, message)
	a.Header = http.Header{"Www-Authenticate": {`Basic realm="Baremetal API"`}}
	return a
}
