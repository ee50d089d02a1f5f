package redfishtest

import (
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// WantError checks the kind of an error and that its text has some parts, and not the BMC's password.
func WantError(t *testing.T, err error, kind store.Kind, parts ...string) {
	t.Helper()
	if store.KindOf(err) != kind {
		t.Errorf("got %v of kind %q, want kind %s", err, store.KindOf(err), kind)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), Password) {
		t.Errorf("%q tells the password", err)
	}
}
