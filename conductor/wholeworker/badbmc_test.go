package wholeworker

import (
	"net/http"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// bmcCase is a BMC that cannot be worked with. Faults are mended in the room, info by giving back the right value.
type bmcCase struct {
	name   string
	faults room.Faults
	info   map[string]any
	want   string
}

var bmcCases = []bmcCase{
	{name: "wrong password", info: map[string]any{"redfish_password": "guessed-wrong"}, want: "401 Unauthorized"},
	{name: "untrusted certificate", info: map[string]any{"redfish_verify_ca": true}, want: "certificate is not trusted"},
	{name: "nobody listens", info: map[string]any{"redfish_address": "https://127.0.0.1:1"}, want: "connection refused"},
	{name: "no such system", info: map[string]any{"redfish_system_id": "/redfish/v1/Systems/none"}, want: "404"},
	{name: "silent", faults: room.Faults{Silent: 1}, want: "no answer within 3s"},
	{name: "not Redfish", faults: room.Faults{Garbage: 1}, want: "is not Redfish"},
	{name: "server errors", faults: room.Faults{ServerError: 1}, want: "HTTP 503"},
}

func badBMCs(t *testing.T, w *world, img diskImage) {
	good := map[string]any{"image_source": "file://" + img.raw, "image_checksum": img.sum}
	for i, c := range bmcCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, w, uint64(1+i))
		})
	}
	t.Run("gone before the deployment", func(t *testing.T) {
		t.Parallel()
		p := admit(t, w, 10, room.Faults{}, nil)
		makeAvailable(t, w, p.node)
		must(t, p.room.Close())
		must(t, w.api.patch(t.Context(), p.node, set("/instance_info", good)))
		fails(t, w, p.node, "active", "deploy failed", "Unable to connect to https://127")
		p.mend(t)
		deploys(t, w, p.machine(), p.node, good, img)
	})
	t.Run("sessions dropped on the way", func(t *testing.T) {
		t.Parallel()
		p := admit(t, w, 11, room.Faults{DropSession: 0.3}, nil)
		makeAvailable(t, w, p.node)
		deploys(t, w, p.machine(), p.node, good, img)
	})
	t.Run("power that does not change", func(t *testing.T) {
		t.Parallel()
		p := admit(t, w, 12, room.Faults{StuckPower: 1}, nil)
		makeAvailable(t, w, p.node)
		must(t, w.api.patch(t.Context(), p.node, set("/instance_info", good)))
		fails(t, w, p.node, "active", "deploy failed", "(?i)power")
		p.mend(t)
		deploys(t, w, p.machine(), p.node, good, img)
	})
}

func (c bmcCase) run(t *testing.T, w *world, seed uint64) {
	p := admit(t, w, seed, c.faults, c.info)
	err := w.api.do(t.Context(), http.MethodGet, "/v1/nodes/"+p.node+"/management/boot_device", nil, nil)
	if err == nil || !matches(c.want, err.Error()) {
		t.Errorf("reading the boot device was answered with %v, which does not match %q", err, c.want)
	}
	n := fails(t, w, p.node, "manage", "enroll", c.want)
	for _, text := range []string{n.LastError, err.Error()} {
		if strings.Contains(text, p.machine().Info().Password) || strings.Contains(text, "guessed-wrong") {
			t.Errorf("%q tells a password", text)
		}
	}
	if got := p.machine().Snapshot(); got.Starts != 0 || got.Media != "" {
		t.Errorf("the machine was touched: %+v", got)
	}
	p.mend(t)
	right := map[string]any{"redfish_address": p.machine().Info().Address, "redfish_system_id": p.machine().Info().SystemID,
		"redfish_password": p.machine().Info().Password, "redfish_verify_ca": p.machine().Info().CAFile}
	for key := range c.info {
		must(t, w.api.patch(t.Context(), p.node, set("/driver_info/"+key, right[key])))
	}
	must(t, w.api.reach(t.Context(), p.node, "manage", "manageable"))
}
