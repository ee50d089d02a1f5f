package drivers_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// volumes is a conductor with the volume targets of one node.
type volumes struct {
	drivers.Worker
	targets []*store.VolumeTarget
	saves   int
}

func (v *volumes) Save(context.Context, *drivers.Task) error { v.saves++; return nil }
func (v *volumes) VolumeTargets(context.Context, *drivers.Task) ([]*store.VolumeTarget, error) {
	return v.targets, nil
}

// DestroyVolumeTarget takes the first one away, and says of all others that they are gone.
func (v *volumes) DestroyVolumeTarget(_ context.Context, _ *drivers.Task, one *store.VolumeTarget) error {
	if len(v.targets) == 0 || v.targets[0] != one {
		return store.Errorf(store.VolumeTargetNotFound, "gone")
	}
	v.targets = v.targets[1:]
	return nil
}

// bootsISCSI is a boot interface that boots volumes over iSCSI.
type bootsISCSI struct{ *fake.Boot }

func (bootsISCSI) Capabilities() []string { return []string{drivers.CanBootISCSI} }

func volumeTask(capabilities string, targets ...*store.VolumeTarget) (*drivers.Task, *volumes) {
	v := &volumes{targets: targets}
	return &drivers.Task{Worker: v, Log: zerolog.Nop(), Hardware: &drivers.Hardware{Boot: bootsISCSI{fake.NewBoot(fake.Config{})}, Storage: noop.NewStorage()},
		Node: &store.Node{UUID: "n", Properties: store.Dict{"capabilities": capabilities}}}, v
}

func target(uuid, kind string, index int64) *store.VolumeTarget {
	return &store.VolumeTarget{UUID: uuid, VolumeType: &kind, BootIndex: &index}
}

func TestTheBootVolumeIsRemembered(t *testing.T) {
	second := target("v2", "iscsi", 1)
	for _, c := range []struct {
		name, capabilities string
		targets            []*store.VolumeTarget
		want               any
		kind               store.Kind
		text               string
	}{
		{name: "no volumes", capabilities: "nonsense"},
		{name: "none to boot from", targets: []*store.VolumeTarget{second, {UUID: "v3"}}},
		{name: "over iSCSI", capabilities: "iscsi_boot:true", targets: []*store.VolumeTarget{second, target("v1", "iscsi", 0)}, want: "v1"},
		{name: "whatever the capability's value", capabilities: "iscsi_boot:", targets: []*store.VolumeTarget{target("v1", "ISCSI", 0)}, want: "v1"},
		{name: "not over iSCSI", targets: []*store.VolumeTarget{target("v1", "iscsi", 0)}, kind: store.StorageError,
			text: "Node n has an iSCSI boot volume defined and no iSCSI boot support available."},
		{name: "not over Fibre Channel", capabilities: "iscsi_boot:true", targets: []*store.VolumeTarget{target("v1", "fibre_channel", 0)},
			kind: store.StorageError, text: "Node n has a Fibre Channel boot volume defined and no Fibre Channel boot support available."},
		{name: "by the HBA", capabilities: "fibre_channel_boot:true", targets: []*store.VolumeTarget{target("v1", "fibre_channel", 0)}},
		{name: "of a kind that nobody boots", targets: []*store.VolumeTarget{target("v1", "nvme", 0)}},
		{name: "malformed capabilities", capabilities: "iscsi_boot", targets: []*store.VolumeTarget{target("v1", "iscsi", 0)},
			kind: store.InvalidParameterValue, text: "Malformed capabilities value: iscsi_boot"},
	} {
		task, _ := volumeTask(c.capabilities, c.targets...)
		err := drivers.RememberBootVolume(t.Context(), task)
		if store.KindOf(err) != c.kind || err != nil && err.Error() != c.text {
			t.Errorf("%s: %v, want %s", c.name, err, c.text)
		}
		if got := task.Node.DriverInternalInfo["boot_from_volume"]; got != c.want {
			t.Errorf("%s: remembered %v, want %v", c.name, got, c.want)
		}
		boots, err := drivers.ISCSIBootVolume(t.Context(), task)
		if isISCSI := c.want != nil && *c.targets[len(c.targets)-1].VolumeType == "iscsi"; err != nil || (boots != nil) != isISCSI {
			t.Errorf("%s: boots %v, %v", c.name, boots, err)
		}
	}
}

// A tear-down that was cut short goes on with what is left.
func TestVolumesAreForgotten(t *testing.T) {
	gone := target("v3", "iscsi", 2)
	task, v := volumeTask("", target("v1", "iscsi", 0), target("v2", "iscsi", 1))
	task.Node.DriverInternalInfo = store.Dict{"boot_from_volume": "v1", "boot_from_volume_deploy": "v1", "other": true}
	v.targets = append(v.targets[:1], gone)
	if err := drivers.ForgetVolumes(t.Context(), task); err != nil || len(v.targets) != 0 || v.saves != 1 {
		t.Errorf("%v, left %v, %d saves", err, v.targets, v.saves)
	}
	if info := task.Node.DriverInternalInfo; len(info) != 1 || info["other"] != true {
		t.Errorf("driver_internal_info %v", info)
	}
	if boots, err := drivers.ISCSIBootVolume(t.Context(), task); boots != nil || err != nil {
		t.Errorf("boots %v, %v", boots, err)
	}
}

// What is no text is refused in ironic's words, but for what Python takes for nothing.
func TestCapabilitiesThatAreNoText(t *testing.T) {
	for _, c := range []struct {
		given any
		want  string
	}{
		{nil, ""}, {"", ""}, {false, ""}, {[]any{}, ""},
		{json.Number("5"), "Value of 'capabilities' must be string. Got <class 'int'>"},
		{[]any{"iscsi_boot:true"}, "Value of 'capabilities' must be string. Got <class 'list'>"},
		{map[string]any{"iscsi_boot": true}, "Value of 'capabilities' must be string. Got <class 'dict'>"},
	} {
		all, err := drivers.Capabilities(&store.Node{Properties: store.Dict{"capabilities": c.given}})
		if c.want == "" && (err != nil || len(all) != 0) || c.want != "" && (store.KindOf(err) != store.InvalidParameterValue || err.Error() != c.want) {
			t.Errorf("%v: %v, %v, want %q", c.given, all, err, c.want)
		}
	}
}
