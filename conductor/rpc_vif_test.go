package conductor

import (
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

func TestVIFsAreAttachedListedAndDetached(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	args := func(more map[string]any) map[string]any {
		more["node_id"] = n.UUID
		return more
	}
	equal(t, "none", string(w.must(t, "vif_list", args(map[string]any{}))), "[]")
	for _, info := range []map[string]any{{"id": "v"}, {"id": "v", "port_uuid": "p"}, {"id": "v", "portgroup_uuid": "g"},
		{"id": "v", "name": "storage", "tags": []string{"fast"}}} {
		equal(t, "answer", string(w.must(t, "vif_attach", args(map[string]any{"vif_info": info}))), "null")
	}
	w.port(t, n, store.Dict{"tenant_vif_port_id": "vif-1"})
	equal(t, "one", string(w.must(t, "vif_list", args(map[string]any{}))), `[{"id":"vif-1"}]`)
	w.must(t, "vif_detach", args(map[string]any{"vif_id": "vif-1"}))
	equal(t, "asked", strings.Join(w.script.did(), ", "), "attach v, attach v to p, attach v to g, "+
		"attach v called storage [fast], detach vif-1")
	w.unlocked(t)
}

func TestVIFRefusals(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	broken := func(*drivers.Task) error { return store.Errorf(store.VifAlreadyAttached, "taken") }
	calls := map[string]map[string]any{"vif_list": {}, "vif_attach": {"vif_info": map[string]any{"id": "v"}},
		"vif_detach": {"vif_id": "v"}}
	for method, args := range calls {
		args["node_id"] = uuid.NewString()
		w.refused(t, store.NodeNotFound, method, args)
		args["node_id"] = n.UUID
		w.script.use(behaviour{networkValidate: func() error { return store.Errorf(store.InvalidParameterValue, "no network") }})
		equal(t, method, w.refused(t, store.InvalidParameterValue, method, args), "no network")
		equal(t, method+" asked", len(w.script.did()), 0)
		w.script.use(behaviour{vifAttach: broken, vifDetach: broken})
		if method != "vif_list" {
			equal(t, method, w.refused(t, store.VifAlreadyAttached, method, args), "taken")
		}
	}
	w.exec(t, "UPDATE nodes SET reservation = 'another' WHERE id = ?", n.ID)
	delete(calls, "vif_list")
	for method, args := range calls {
		w.refused(t, store.NodeLocked, method, args)
	}
	equal(t, "history", w.history(t, n), "")
}

func TestNewerReleasesKeepVIFFailuresInTheHistory(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.Release = messaging.Newest })
	n := w.enroll(t, nil)
	broken := func(*drivers.Task) error { return store.Errorf(store.NetworkError, "no route") }
	w.script.use(behaviour{vifAttach: broken, vifDetach: broken})
	w.refused(t, store.NetworkError, "vif_attach", map[string]any{"node_id": n.UUID, "vif_info": map[string]any{"id": "v"}})
	w.refused(t, store.NetworkError, "vif_detach", map[string]any{"node_id": n.UUID, "vif_id": "v"})
	equal(t, "history", w.history(t, n), "enroll ERROR Failed to attach VIF v to node "+n.UUID+". Error: no route\n"+
		"enroll ERROR Failed to detach VIF v from node "+n.UUID+", Error: no route")
}
