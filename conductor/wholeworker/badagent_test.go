package wholeworker

import (
	"net/http"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

const seedsWill = "the room's seed made this command fail"

func badAgents(t *testing.T, w *world, img diskImage) {
	good := map[string]any{"image_source": "file://" + img.raw, "image_checksum": img.sum}
	t.Run("a command fails while it deploys", func(t *testing.T) {
		t.Parallel()
		p := admit(t, w, 13, room.Faults{CommandFailure: 1}, nil)
		makeAvailable(t, w, p.node)
		must(t, w.api.patch(t.Context(), p.node, set("/instance_info", good)))
		fails(t, w, p.node, "active", "deploy failed", "write_image failed .*"+seedsWill)
		p.mend(t)
		deploys(t, w, p.machine(), p.node, good, img)
	})
	t.Run("a command fails while it cleans", func(t *testing.T) {
		t.Parallel()
		p := admit(t, w, 14, room.Faults{CommandFailure: 1}, nil)
		must(t, w.api.patch(t.Context(), p.node, set("/automated_clean", true)))
		must(t, w.api.reach(t.Context(), p.node, "manage", "manageable"))
		if n := fails(t, w, p.node, "provide", "clean failed", "erase_devices_metadata failed .*"+seedsWill); !n.Maintenance {
			t.Error("a node whose cleaning failed in a step is not in maintenance")
		}
		p.mend(t)
		must(t, w.api.do(t.Context(), http.MethodDelete, "/v1/nodes/"+p.node+"/maintenance", nil, nil))
		// As in ironic, the error stays to be read until the node does something new.
		must(t, w.api.provision(t.Context(), p.node, "manage"))
		must(t, w.api.reach(t.Context(), p.node, "provide", "available"))
	})
	t.Run("a stranger speaks for a silent agent", func(t *testing.T) {
		t.Parallel()
		p := admit(t, w, 15, room.Faults{NoHeartbeat: 1}, nil)
		makeAvailable(t, w, p.node)
		must(t, w.api.patch(t.Context(), p.node, set("/instance_info", good)))
		must(t, w.api.provision(t.Context(), p.node, "active"))
		before, err := w.api.await(t.Context(), p.node, "wait call-back", func(n node) bool { return n.ProvisionState == "wait call-back" })
		must(t, err)
		beats(t, w, p.node, "stolen", before.ProvisionState, "(?i)invalid or missing agent token")
		beats(t, w, p.node, "", before.ProvisionState, "(?i)token")
		n, err := w.api.settle(t.Context(), p.node)
		must(t, err)
		if n.ProvisionState != "deploy failed" || !matches("Timeout reached while waiting for callback", n.LastError) {
			t.Errorf("the node whose agent keeps quiet is in %q: %s", n.ProvisionState, n.LastError)
		}
		p.mend(t)
		deploys(t, w, p.machine(), p.node, good, img)
	})
	t.Run("lookup and heartbeat of a node that waits for none", func(t *testing.T) {
		t.Parallel()
		p := admit(t, w, 16, room.Faults{}, nil)
		makeAvailable(t, w, p.node)
		lookupRefused(t, w, p.machine().Info().MACs[0])
		beats(t, w, p.node, "stolen", "available", "(?i)invalid or missing agent token")
		deploys(t, w, p.machine(), p.node, good, img)
		lookupRefused(t, w, p.machine().Info().MACs[0])
		beats(t, w, p.node, "stolen", "active", "(?i)invalid or missing agent token")
	})
	t.Run("lookup of a stranger", func(t *testing.T) {
		t.Parallel()
		lookupRefused(t, w, "52:54:00:de:ad:01")
	})
}

func lookupRefused(t *testing.T, w *world, mac string) {
	t.Helper()
	err := w.api.do(t.Context(), http.MethodGet, "/v1/lookup?addresses="+mac, nil, nil)
	if statusOf(err) != http.StatusNotFound {
		t.Errorf("the lookup of %s was answered with %v, want HTTP 404", mac, err)
	}
}

// beats sends a heartbeat that must be refused and change nothing.
func beats(t *testing.T, w *world, uuid, token, state, want string) {
	t.Helper()
	body := map[string]any{"callback_url": "https://127.0.0.1:1", "agent_version": "10.2.0"}
	if token != "" {
		body["agent_token"] = token
	}
	err := w.api.do(t.Context(), http.MethodPost, "/v1/heartbeat/"+uuid, body, nil)
	if statusOf(err) != http.StatusBadRequest || !matches(want, err.Error()) {
		t.Errorf("the heartbeat was answered with %v, want HTTP 400 and %q", err, want)
	}
	n, err := w.api.node(t.Context(), uuid)
	must(t, err)
	if n.ProvisionState != state || n.DriverInternalInfo["agent_url"] == body["callback_url"] {
		t.Errorf("after a refused heartbeat the node is in %q with the agent at %v", n.ProvisionState,
			n.DriverInternalInfo["agent_url"])
	}
}
