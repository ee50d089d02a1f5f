package storage

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/storage/cindertest"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

const (
	nodeUUID = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
	first    = "8dd7c486-8e9f-49fe-bceb-ee7aafbb1001"
	second   = "8dd7c486-8e9f-49fe-bceb-ee7aafbb1002"
)

func newBlock(t *testing.T) *cindertest.Server { return cindertest.New(t, first, second) }

// bench is a storage interface before a Cinder with two volumes, and a node with both volumes.
func bench(t *testing.T, b *cindertest.Server, sdk bool) (*Cinder, *drivers.Task) {
	t.Helper()
	c, err := NewCinder(CinderConfig{ServiceConfig: keystone.ServiceConfig{Config: keystone.Config{Group: "cinder", AuthType: keystone.AuthNone},
		EndpointOverride: b.URL + "/v3/6f70656e737461636b20342065766572"}, ActionRetries: 2, SDKTexts: sdk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	w := &worker{targets: []*store.VolumeTarget{{UUID: "t1", VolumeID: new(first), VolumeType: new("iscsi"), BootIndex: new(int64(0))},
		{UUID: "t2", VolumeID: new(second), VolumeType: new("iscsi"), BootIndex: new(int64(1))}},
		connectors: []*store.VolumeConnector{{Type: new("ip"), ConnectorID: new("192.0.2.7")},
			{Type: new("iqn"), ConnectorID: new("iqn.2026-11.example:node")}, {Type: new("mac"), ConnectorID: new("52:54:00:00:00:01")}}}
	return c, &drivers.Task{Worker: w, Log: zerolog.Nop(), Hardware: &drivers.Hardware{Boot: fake.NewBoot(fake.Config{})},
		Node: &store.Node{UUID: nodeUUID, ProvisionState: store.Deploying}}
}

func TestVolumesAreAttachedAndDetached(t *testing.T) {
	b := newBlock(t)
	c, task := bench(t, b, false)
	if err := c.AttachVolumes(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if got, want := b.Took(), []string{"reserve 1", "initialize_connection 1", "attach 1", "reserve 2", "initialize_connection 2", "attach 2"}; !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	for action, want := range map[string]string{
		"os-initialize_connection": `{"connector":{"host":"` + nodeUUID + `","initiator":"iqn.2026-11.example:node","ip":"192.0.2.7","multipath":true}}`,
		"os-attach":                `{"instance_uuid":"` + nodeUUID + `","mountpoint":"ironic_mountpoint"}`,
	} {
		if b.Bodies[action] != want {
			t.Errorf("%s: %s, want %s", action, b.Bodies[action], want)
		}
	}
	for i, id := range []string{first, second} {
		// The numbers of some LUNs are larger than what a float64 holds.
		want := store.Dict{"target_discovered": false, "target_portal": "192.0.2.9:3260", "target_iqn": "iqn.2010-10.org.openstack:volume-" + id,
			"target_lun": json.Number("4611721202799476736"), "volume_id": id, "ironic_volume_uuid": id, "auth_method": "CHAP",
			"auth_username": "chap", "auth_password": "secret", "encrypted": false, "qos_specs": nil, "access_mode": "rw"}
		if got := task.Worker.(*worker).saved[i]; !reflect.DeepEqual(got.Properties, want) {
			t.Errorf("the properties of volume target %s are %v, want %v", got.UUID, got.Properties, want)
		}
	}
	if err := c.AttachVolumes(t.Context(), task); err != nil || len(b.Took()) != 0 || len(task.Worker.(*worker).saved) != 2 {
		t.Errorf("attaching again: %v", err)
	}
	if err := c.DetachVolumes(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if got, want := b.Took(), []string{"begin_detaching 1", "terminate_connection 1", "detach 1", "begin_detaching 2", "terminate_connection 2", "detach 2"}; !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
	if want := `{"attachment_id":"3b4db356-253d-4fab-bfa0-e3626c0b8405"}`; b.Bodies["os-detach"] != want {
		t.Errorf("os-detach: %s", b.Bodies["os-detach"])
	}
	if err := c.DetachVolumes(t.Context(), task); err != nil || len(b.Took()) != 0 {
		t.Errorf("detaching again: %v", err)
	}
	if len(task.Node.DriverInternalInfo) != 0 {
		t.Errorf("driver_internal_info %v", task.Node.DriverInternalInfo)
	}
}

// A worker that is killed in the middle leaves a volume in a state that no request begins from. Whoever goes on knows it for the node's own.
func TestWhatWasCutShortGoesOn(t *testing.T) {
	b := newBlock(t)
	c, task := bench(t, b, false)
	b.Status[first] = "attaching"
	err := c.AttachVolumes(t.Context(), task)
	if store.KindOf(err) != store.StorageError || b.Status[first] != "attaching" {
		t.Errorf("a volume that somebody else attaches: %v, now %s", err, b.Status[first])
	}
	task.Node.DriverInternalInfo = store.Dict{keyUnderWay: store.Dict{first: attaching}}
	if err := c.AttachVolumes(t.Context(), task); err != nil || b.Status[first] != "in-use" || len(task.Node.DriverInternalInfo) != 0 {
		t.Errorf("attaching: %v, now %s, %v", err, b.Status[first], task.Node.DriverInternalInfo)
	}
	b.Status[first] = "detaching"
	task.Node.DriverInternalInfo = store.Dict{keyUnderWay: store.Dict{first: detaching}}
	if err := c.DetachVolumes(t.Context(), task); err != nil || b.Status[first] != "available" || len(task.Node.DriverInternalInfo) != 0 {
		t.Errorf("detaching: %v, now %s, %v", err, b.Status[first], task.Node.DriverInternalInfo)
	}
	if err := c.AttachVolumes(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	b.Status[first] = "detaching"
	task.Node.DriverInternalInfo = store.Dict{keyUnderWay: store.Dict{first: detaching}}
	b.Took()
	if err := c.AttachVolumes(t.Context(), task); err != nil || b.Status[first] != "in-use" || len(task.Node.DriverInternalInfo) != 0 {
		t.Errorf("attaching after a detachment: %v, now %s, %v", err, b.Status[first], task.Node.DriverInternalInfo)
	}
	if got, want := b.Took(), []string{"terminate_connection 1", "detach 1", "reserve 1", "initialize_connection 1", "attach 1"}; !slices.Equal(got, want) {
		t.Errorf("asked %q, want %q", got, want)
	}
}

// What somebody else detaches is not taken for a detachment of the node's own when it is tried again.
func TestADetachmentThatIsRefused(t *testing.T) {
	b := newBlock(t)
	c, task := bench(t, b, false)
	if err := c.AttachVolumes(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	b.Took()
	b.Status[first] = "detaching"
	err := c.DetachVolumes(t.Context(), task)
	if store.KindOf(err) != store.StorageError || !strings.HasPrefix(err.Error(), "Failed to request detach for volume "+first) {
		t.Errorf("got %v", err)
	}
	if got, want := b.Took(), []string{"begin_detaching 1", "begin_detaching 1", "begin_detaching 1"}; !slices.Equal(got, want) ||
		len(task.Node.DriverInternalInfo) != 0 {
		t.Errorf("asked %q, want %q; driver_internal_info %v", got, want, task.Node.DriverInternalInfo)
	}
}

// A request without an answer may have been heard: the volume may be the node's.
func TestAReservationWithoutAnAnswer(t *testing.T) {
	b := newBlock(t)
	c, task := bench(t, b, false)
	b.HangUp = "os-reserve"
	c.cfg.ActionRetries = 0
	err := c.AttachVolumes(t.Context(), task)
	if store.KindOf(err) != store.StorageError || !strings.HasPrefix(err.Error(), "Failed to reserve volume "+first) {
		t.Errorf("got %v", err)
	}
	if b.Status[first] != "available" || len(task.Node.DriverInternalInfo) != 0 {
		t.Errorf("the volume is %s, driver_internal_info %v", b.Status[first], task.Node.DriverInternalInfo)
	}
}

// A volume of which Cinder does not say how it is reached is none that a machine could boot.
func TestAConnectionThatIsNotTold(t *testing.T) {
	for _, answer := range []string{`{}`, `{"connection_info": null}`, `{"connection_info": {"data": null}}`, `{"connection_info": {"data": 5}}`,
		`{"connection_info": 5}`, `{`} {
		b := newBlock(t)
		c, task := bench(t, b, false)
		b.Connection = answer
		err := c.AttachVolumes(t.Context(), task)
		if store.KindOf(err) != store.StorageError || !strings.HasPrefix(err.Error(), "Failed to initialize connection for volume "+first) {
			t.Errorf("%s: %v", answer, err)
		}
		if b.Status[first] != "available" || len(task.Worker.(*worker).saved) != 0 {
			t.Errorf("%s: the volume is %s", answer, b.Status[first])
		}
	}
}

// Of volumes that cannot all be attached none is, nor stays reserved.
func TestAFailedAttachmentIsUndone(t *testing.T) {
	b := newBlock(t)
	c, task := bench(t, b, false)
	for _, action := range []string{"os-reserve", "os-initialize_connection", "os-attach"} {
		b.Refuse[action] = 1
		err := c.AttachVolumes(t.Context(), task)
		if store.KindOf(err) != store.StorageError || !strings.Contains(err.Error(), "The server has either erred or is incapable of performing "+
			"the requested operation. (HTTP 500) (Request-ID: req-1)") {
			t.Errorf("%s: %v", action, err)
		}
		if b.Status[first] != "available" || b.Status[second] != "available" || len(task.Node.DriverInternalInfo) != 0 {
			t.Errorf("%s: %v, %v", action, b.Status, task.Node.DriverInternalInfo)
		}
	}
}

func TestDetachmentsAreTriedAgain(t *testing.T) {
	for _, c := range []struct {
		name, state string
		failures    int
		fails       bool
	}{
		{"once", store.Deleting, 1, false},
		{"twice", store.Deleting, 2, false},
		{"always", store.Deleting, 99, true},
		{"while an instance is switched off", store.Active, 99, false},
	} {
		b := newBlock(t)
		cinder, task := bench(t, b, true)
		if err := cinder.AttachVolumes(t.Context(), task); err != nil {
			t.Fatal(err)
		}
		b.Refuse["os-terminate_connection"], task.Node.ProvisionState = c.failures, c.state
		err := cinder.DetachVolumes(t.Context(), task)
		if (store.KindOf(err) == store.StorageError) != c.fails {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.fails && !strings.Contains(err.Error(), "Failed to detach volume "+first+" from node "+nodeUUID+": HttpException: 500: Server Error for url: ") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAVolumeThatIsGone(t *testing.T) {
	for sdk, want := range map[bool]string{
		false: "Failed to get volume gone from cinder for node " + nodeUUID + ": Volume gone could not be found. (HTTP 404) (Request-ID: req-1)",
		true: "Failed to get volume gone from cinder for node " + nodeUUID + ": NotFoundException: 404: Client Error for url: URL/v3/volumes/gone, " +
			"Volume gone could not be found.",
	} {
		c, task := bench(t, newBlock(t), sdk)
		task.Worker.(*worker).targets[0].VolumeID = new("gone")
		url := strings.TrimSuffix(c.cfg.EndpointOverride, "/v3/6f70656e737461636b20342065766572")
		err := c.DetachVolumes(t.Context(), task)
		if store.KindOf(err) != store.StorageError || err.Error() != strings.ReplaceAll(want, "URL", url) {
			t.Errorf("got %v, want %s", err, want)
		}
		task.Node.ProvisionState = store.Active
		if err := c.DetachVolumes(t.Context(), task); err != nil {
			t.Errorf("of an instance: %v", err)
		}
	}
}

func TestConnectors(t *testing.T) {
	one := func(typ, id string) *store.VolumeConnector {
		return &store.VolumeConnector{Type: &typ, ConnectorID: &id}
	}
	for _, c := range []struct {
		given []*store.VolumeConnector
		want  string
	}{
		{nil, "Insufficient or incompatible volume connection records for node " + nodeUUID + ". Valid connector types: wwpn, wwnn, iqn"},
		{[]*store.VolumeConnector{one("ip", "192.0.2.7")}, "Insufficient or incompatible volume connection records for node " + nodeUUID +
			". Valid connector types: wwpn, wwnn, iqn"},
		{[]*store.VolumeConnector{one("iqn", "a")}, `{"host":"` + nodeUUID + `","initiator":"a"}`},
		{[]*store.VolumeConnector{one("iqn", "a"), one("iqn", "b")}, `{"host":"` + nodeUUID + `","initiator":"a","multipath":true}`},
		{[]*store.VolumeConnector{one("wwpn", "a"), one("wwpn", "b"), one("wwnn", "c")}, `{"host":"` + nodeUUID +
			`","multipath":true,"wwnns":["c"],"wwpns":["a","b"]}`},
	} {
		task := &drivers.Task{Node: &store.Node{UUID: nodeUUID}, Worker: &worker{connectors: c.given}, Log: zerolog.Nop()}
		got, err := connectorOf(t.Context(), task)
		text, _ := json.Marshal(got)
		if err != nil {
			text = []byte(err.Error())
		}
		if string(text) != c.want || err != nil && store.KindOf(err) != store.StorageError {
			t.Errorf("%s, want %s", text, c.want)
		}
	}
}

func (w *worker) SaveVolumeTarget(_ context.Context, _ *drivers.Task, v *store.VolumeTarget) error {
	w.saved = append(w.saved, v)
	return nil
}
func (w *worker) Save(context.Context, *drivers.Task) error { return nil }
func (w *worker) VolumeConnectors(context.Context, *drivers.Task) ([]*store.VolumeConnector, error) {
	return w.connectors, nil
}

func TestCinderValidates(t *testing.T) {
	iqn := &store.VolumeConnector{Type: new("iqn"), ConnectorID: new("a")}
	wwpn, wwnn := &store.VolumeConnector{Type: new("wwpn"), ConnectorID: new("a")}, &store.VolumeConnector{Type: new("wwnn"), ConnectorID: new("a")}
	target := func(kind string, index int64) []*store.VolumeTarget {
		return []*store.VolumeTarget{{UUID: "t", VolumeType: &kind, BootIndex: &index, VolumeID: new("v")}}
	}
	of := func(all ...*store.VolumeConnector) []*store.VolumeConnector { return all }
	for i, c := range []struct {
		capabilities string
		plain        bool
		connectors   []*store.VolumeConnector
		targets      []*store.VolumeTarget
		kind         store.Kind
		want         string
	}{
		{},
		{capabilities: "iscsi_boot:true", connectors: of(iqn), targets: target("iscsi", 0)},
		{capabilities: "fibre_channel_boot:1", connectors: of(wwpn, wwnn), targets: target("fibre_channel", 0)},
		{connectors: of(iqn), targets: target("iscsi", 1)},
		{connectors: of(iqn), plain: true, want: "The [pxe]/ipxe_enabled option must be set to True or the boot interface must be set to " +
			"``ipxe`` to support network booting to an iSCSI volume."},
		{connectors: of(wwpn), kind: store.StorageError, want: "Cinder requires both wwnn and wwpn entries for FCoE connections. There must " +
			"be a wwpn entry for every wwnn entry. There are 1 wwpn entries and 0 wwnn entries."},
		{capabilities: "iscsi_boot:true", want: "In order to enable the 'iscsi_boot' capability for the node, an associated volume_connector " +
			"type must be valid for iSCSI (iqn)."},
		{capabilities: "fibre_channel_boot:true", want: "In order to enable the 'fibre_channel_boot' capability for the node, an associated " +
			"volume_connector type must be valid for Fibre Channel (wwpn, wwnn)."},
		{targets: []*store.VolumeTarget{{UUID: "t"}}, want: "volume_id missing from target t."},
		{connectors: of(iqn), targets: target("iscsi", 0), want: "Volume target t is configured for 'iscsi', however the capability " +
			"'iscsi_boot' is not set for the node."},
		{targets: target("iscsi", 1), want: "Volume target t is configured for 'iscsi', however no iSCSI connectors are configured for the node."},
		{connectors: of(wwpn, wwnn), targets: target("fibre_channel", 0), want: "Volume target t is configured for 'fibre_channel', however " +
			"the capability 'fibre_channel_boot' is not set on node."},
		{targets: target("fibre_channel", 1), want: "Volume target t is configured for 'fibre_channel', however no Fibre Channel WWPNs are " +
			"configured for the node volume connectors."},
		{targets: target("nvme", 0), want: "Volume target t is of an unknown type 'nvme'. Supported types: 'iscsi' or 'fibre_channel'"},
	} {
		var boot drivers.Boot = fake.NewBoot(fake.Config{})
		if c.plain {
			boot = plainBoot{fake.NewBoot(fake.Config{})}
		}
		task := &drivers.Task{Worker: &worker{targets: c.targets, connectors: c.connectors}, Log: zerolog.Nop(), Hardware: &drivers.Hardware{Boot: boot},
			Node: &store.Node{UUID: "n", Properties: store.Dict{"capabilities": c.capabilities}}}
		err := (&Cinder{}).Validate(t.Context(), task)
		if c.kind == "" {
			c.kind = store.InvalidParameterValue
		}
		switch {
		case c.want == "" && err == nil:
		case err == nil, c.want == "", store.KindOf(err) != c.kind,
			err.Error() != "Failed to validate cinder storage interface for node n. "+c.want:
			t.Errorf("case %d: %v, want %s", i, err, c.want)
		}
	}
}
