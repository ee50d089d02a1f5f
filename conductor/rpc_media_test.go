package conductor

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// mediaBMC is a BMC with virtual drives, and the server of what is in them.
type mediaBMC struct {
	*fake.Management
	mu   sync.Mutex
	did  []string
	fail error
}

func (m *mediaBMC) note(what ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.did = append(m.did, strings.Join(what, " "))
	return m.fail
}

func (m *mediaBMC) all() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	did := m.did
	m.did = nil
	return did
}

func (m *mediaBMC) VirtualMedia(context.Context, *drivers.Task) ([]drivers.MediaDrive, error) {
	return []drivers.MediaDrive{{Types: []string{"CD", "DVD"}, Inserted: true, Image: "http://here/x.iso"}}, nil
}

func (m *mediaBMC) AttachMedia(_ context.Context, _ *drivers.Task, device, url string) error {
	return m.note("attach", device, url)
}

func (m *mediaBMC) DetachMedia(_ context.Context, _ *drivers.Task, device string) error {
	return m.note("detach", device)
}

func (m *mediaBMC) Publish(_ context.Context, node, name, href string) (string, error) {
	return "http://here/" + name, m.note("publish", name, href)
}

func (m *mediaBMC) Withdraw(_ string, names ...string) error {
	return m.note(append([]string{"withdraw"}, names...)...)
}

func mediaWorker(t *testing.T, release messaging.Release) (*worker, *mediaBMC) {
	t.Helper()
	bmc := &mediaBMC{Management: fake.NewManagement(fake.Config{})}
	w := startWorker(t, func(c *Config) { c.Release = release })
	w.hardware.Catalog.Implementations[drivers.TypeManagement]["fake"] = bmc
	w.media = bmc
	return w, bmc
}

func TestVirtualMediaAreAttachedAndDetached(t *testing.T) {
	w, bmc := mediaWorker(t, messaging.V2025_1)
	n := w.enroll(t, nil)
	do := func(method string, args map[string]any, want ...string) {
		t.Helper()
		args["node_id"] = n.UUID
		equal(t, method, string(w.must(t, method, args)), "null")
		w.unlocked(t)
		if did := bmc.all(); !slices.Equal(did, want) {
			t.Errorf("%s: did %q, want %q", method, did, want)
		}
		equal(t, "last_error", w.row(t, n.UUID).LastError, "")
	}
	iso := "cdrom-" + n.UUID + ".iso"
	do("attach_virtual_media", map[string]any{"device_type": "cdrom", "image_url": "http://there/x.iso"},
		"publish "+iso+" http://there/x.iso", "attach cdrom http://here/"+iso)
	do("attach_virtual_media", map[string]any{"device_type": "disk", "image_url": "https://there/x", "image_download_source": "http"},
		"attach disk https://there/x")
	do("detach_virtual_media", map[string]any{"device_types": []string{"cdrom", "floppy"}},
		"detach cdrom", "detach floppy", "withdraw "+iso+" floppy-"+n.UUID+".img")
	do("detach_virtual_media", map[string]any{}, "detach ", "withdraw disk-"+n.UUID+".img "+iso+" floppy-"+n.UUID+".img")
	got := w.must(t, "get_virtual_media", map[string]any{"node_id": n.UUID})
	equal(t, "drives", string(got), `[{"image":"http://here/x.iso","inserted":true,"media_types":["CD","DVD"]}]`)
}

func TestVirtualMediaThatFail(t *testing.T) {
	w, bmc := mediaWorker(t, messaging.V2025_1)
	n := w.enroll(t, nil)
	bmc.fail = errors.New("no drive")
	for want, args := range map[string]map[string]any{
		"Could not attach device cdrom to node " + n.UUID + ": no drive": {"device_type": "cdrom", "image_url": "http://there/x.iso"},
		"Could not attach device tape to node " + n.UUID + `: device_type "tape" is none of disk, cdrom, floppy`: {"device_type": "tape",
			"image_url": "http://there/x.iso"},
		"Could not detach device(s) ['cdrom'] from node " + n.UUID + ": no drive": {"device_types": []string{"cdrom"}},
		"Could not detach device(s) None from node " + n.UUID + ": no drive":      {},
	} {
		args["node_id"] = n.UUID
		method := "detach_virtual_media"
		if args["device_type"] != nil {
			method = "attach_virtual_media"
		}
		w.must(t, method, args)
		w.unlocked(t)
		equal(t, method, w.row(t, n.UUID).LastError, want)
	}
	const secret = "https://user:password@there/x.iso?signature=s3cret"
	bmc.fail = errors.New("cannot read " + secret)
	w.must(t, "attach_virtual_media", map[string]any{"node_id": n.UUID, "device_type": "cdrom", "image_url": secret})
	w.unlocked(t)
	equal(t, "last_error", w.row(t, n.UUID).LastError,
		"Could not attach device cdrom to node "+n.UUID+": cannot read https://there/x.iso?...")
	attach := map[string]any{"node_id": n.UUID, "device_type": "cdrom", "image_url": "http://there/x.iso"}
	w.exec(t, "UPDATE nodes SET reservation = 'another' WHERE uuid = ?", n.UUID)
	for _, method := range []string{"attach_virtual_media", "detach_virtual_media"} {
		args := attach
		if method != "attach_virtual_media" {
			args = map[string]any{"node_id": n.UUID}
		}
		w.refused(t, store.NodeLocked, method, args)
	}
	w.refused(t, store.NodeLocked, "get_virtual_media", map[string]any{"node_id": n.UUID})
	w.refused(t, store.NodeNotFound, "get_virtual_media", map[string]any{"node_id": "0ff4cd68-0a63-4f5f-a3ac-d7ae0f0e0c0d"})
}

func TestVirtualMediaOfADriverThatHasNone(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.Release = messaging.V2025_1 })
	n := w.enroll(t, nil)
	const want = "Driver fake-hardware does not support %s (disabled or not implemented)."
	equal(t, "get", w.refused(t, store.UnsupportedDriverExtension, "get_virtual_media", map[string]any{"node_id": n.UUID}),
		strings.ReplaceAll(want, "%s", "get_virtual_media"))
	w.must(t, "attach_virtual_media", map[string]any{"node_id": n.UUID, "device_type": "cdrom", "image_url": "http://there/x.iso"})
	w.unlocked(t)
	equal(t, "attach", w.row(t, n.UUID).LastError, "Could not attach device cdrom to node "+n.UUID+
		": Publishing images is not supported for driver fake-hardware")
}

func TestVirtualMediaByRelease(t *testing.T) {
	old, _ := mediaWorker(t, messaging.V2023_1)
	n := old.enroll(t, nil)
	if reply := old.call(t, "get_virtual_media", map[string]any{"node_id": n.UUID}); reply.Failure == nil || reply.Failure.Class != "NoSuchMethod" {
		t.Errorf("21.4 answered %v", reply)
	}
	newest, _ := mediaWorker(t, messaging.Newest)
	failed := newest.enroll(t, func(n *store.Node) { n.Maintenance, n.Fault = true, store.FaultPower })
	equal(t, "in a power failure", newest.refused(t, store.TemporaryFailure, "attach_virtual_media", map[string]any{"node_id": failed.UUID,
		"device_type": "cdrom", "image_url": "http://there/x.iso"}), "Unable to attach virtual media for node "+failed.UUID+" due to power failure state")
	equal(t, "in a power failure", newest.refused(t, store.TemporaryFailure, "detach_virtual_media", map[string]any{"node_id": failed.UUID}),
		"Unable to detach virtual media for node "+failed.UUID+" due to power failure state")
	newest.exec(t, "UPDATE nodes SET reservation = 'another' WHERE uuid = ?", failed.UUID)
	newest.must(t, "get_virtual_media", map[string]any{"node_id": failed.UUID})
}
