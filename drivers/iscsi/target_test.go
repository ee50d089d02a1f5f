package iscsi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/store"
)

// TestARamdiskThatRefuses answers as agents do that have given their disk to a target already, and as those without the
// extension do.
func TestARamdiskThatRefuses(t *testing.T) {
	for name, tt := range map[string]struct {
		status       int
		answer, want string
	}{
		"busy device": {http.StatusOK, `{"command_name": "start_iscsi_target", "command_status": "FAILED", "command_error":
			{"type": "ISCSIError", "code": 500, "message": "Error starting iSCSI target", "details": "device already in use"}}`,
			"device already in use"},
		"no extension": {http.StatusNotFound, `{"faultstring": "Not found: Extension with id iscsi not found."}`,
			"Extension with id iscsi not found"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = w.Write([]byte(tt.answer))
			}))
			defer server.Close()
			b := &bench{}
			task := &drivers.Task{Worker: b, Log: zerolog.Nop(), Node: &store.Node{UUID: "a-node", DriverInternalInfo: store.Dict{
				"agent_url": server.URL}}}
			d := &Deploy{Deploy: agent.New(agent.DefaultConfig(), nil, nil), cfg: DefaultConfig()}
			_, err := d.expose(t.Context(), task, 2, false)
			if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), tt.want) ||
				!strings.HasPrefix(err.Error(), "Failed to start the iSCSI target to deploy the node a-node. Error: ") {
				t.Errorf("got %v", err)
			}
		})
	}
}
