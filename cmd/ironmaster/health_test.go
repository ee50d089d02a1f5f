package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHealthIsAnExitStatus(t *testing.T) {
	well := operators(t, http.StatusOK, `{"host": "w1", "ready": true, "parts": {"broker": "ok", "registration": "ok"}}`)
	ill := operators(t, http.StatusServiceUnavailable,
		`{"host": "w1", "ready": false, "parts": {"broker": "not connected", "registration": "ok"}}`)
	for _, c := range []struct{ name, address, output, failure string }{
		{name: "well", address: well, output: "w1: broker: ok, registration: ok\n"},
		{name: "ill", address: ill, failure: "w1: broker: not connected, registration: ok"},
		{name: "gone", address: nobody(t), failure: "asking the conductor: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			conf := filepath.Join(t.TempDir(), "ironic.conf")
			if err := os.WriteFile(conf, []byte("[ironmaster]\nadmin_listen = "+c.address+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			cmd := newHealthCommand()
			cmd.SetOut(&out)
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			cmd.SetArgs([]string{"--config-file", conf})
			err := cmd.ExecuteContext(t.Context())
			if c.failure == "" && err != nil || c.failure != "" && (err == nil || !strings.HasPrefix(err.Error(), c.failure)) {
				t.Errorf("the error is %v, want %q", err, c.failure)
			}
			if out.String() != c.output {
				t.Errorf("printed %q, want %q", out.String(), c.output)
			}
		})
	}
}
