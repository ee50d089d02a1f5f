package jsonrpc

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/crypto/bcrypt"
)

// Made by Debian's htpasswd -nbB and by Python's bcrypt; the password is sesame.
const foreignEntries = `apache:$2y$04$zvyzQIB43bOwHKG2/qRVruw8vSz0k/GOxFWnN9wDkCpon/cZ.8HXa
python:$2b$04$Uulscndf/cbhsqo5uOXJs.kgvWqElBpaYkiaTTYLV3yPui6Vw1jQ6
`

func entry(t *testing.T, user, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return user + ":" + string(hash) + "\n"
}

func TestBasicAuth(t *testing.T) {
	file := filepath.Join(t.TempDir(), "htpasswd")
	write := func(lines string) {
		if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("# a comment\n\n" + entry(t, "ada", "secret:with colon") + foreignEntries + entry(t, "grace", "other"))
	auth, err := NewBasicAuth(file, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	r := serve(t, Config{Auth: auth}, echo)
	as := func(user, password string) func(*http.Request) {
		return func(r *http.Request) { r.SetBasicAuth(user, password) }
	}
	header := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	const wrong = `{"error":{"code":401,"message":"Incorrect username or password"}}`
	for name, c := range map[string]struct {
		change func(*http.Request)
		status int
		body   string
	}{
		"right":          {as("ada", "secret:with colon"), 200, ""},
		"right again":    {as("ada", "secret:with colon"), 200, ""},
		"another one":    {as("grace", "other"), 200, ""},
		"Apache's":       {as("apache", "sesame"), 200, ""},
		"Python's":       {as("python", "sesame"), 200, ""},
		"wrong":          {as("ada", "secret"), 401, wrong},
		"other's":        {as("ada", "other"), 401, wrong},
		"unknown":        {as("bob", "other"), 401, wrong},
		"part of a name": {as("ad", "secret:with colon"), 401, wrong},
		"nothing":        {header(""), 401, `{"error":{"code":401,"message":"Authorization required"}}`},
		"bearer":         {header("Bearer x"), 400, `{"error":{"code":400,"message":"Unsupported authorization type \"Bearer\""}}`},
		"no token":       {header("Basic"), 400, `{"error":{"code":400,"message":"Could not parse Authorization header"}}`},
		"no base64":      {header("Basic !"), 400, `{"error":{"code":400,"message":"Could not decode authorization token"}}`},
		"no password":    {header("Basic YQ=="), 400, `{"error":{"code":400,"message":"Could not decode authorization token"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, headers := r.do(t, http.MethodPost, echoed, c.change)
			if status != c.status || c.body != "" && body != c.body {
				t.Errorf("answered %d %s, want %d %s", status, body, c.status, c.body)
			}
			if challenge := headers.Get("WWW-Authenticate"); (challenge == `Basic realm="Baremetal API"`) != (status == 401) {
				t.Errorf("with %d came the challenge %q", status, challenge)
			}
		})
	}
	// A password that was right is wrong as soon as the file says so.
	write(entry(t, "ada", "new"))
	if status, _, _ := r.do(t, http.MethodPost, echoed, as("ada", "secret:with colon")); status != 401 {
		t.Errorf("the old password is answered %d", status)
	}
	if status, _, _ := r.do(t, http.MethodPost, echoed, as("ada", "new")); status != 200 {
		t.Errorf("the new password is answered %d", status)
	}
	write("ada:{SHA}xyz\n")
	if status, _, _ := r.do(t, http.MethodPost, echoed, as("ada", "new")); status != 500 {
		t.Errorf("with a file that can't be used the answer is %d", status)
	}
}

func TestAUserFileThatCannotBeUsedIsRefused(t *testing.T) {
	if _, err := NewBasicAuth(filepath.Join(t.TempDir(), "none"), zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("a file that is not there: %v", err)
	}
	file := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(file, []byte("ada:$apr1$x$y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewBasicAuth(file, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "bcrypt digested passwords are supported for ada") {
		t.Errorf("a password of another kind: %v", err)
	}
}
