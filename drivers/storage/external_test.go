package storage

import (
	"context"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// plainBoot is a boot interface that cannot boot from volumes.
type plainBoot struct{ *fake.Boot }

func (plainBoot) Capabilities() []string { return nil }

func TestExternalVolumesNeedIPXE(t *testing.T) {
	bootVolume := &store.VolumeTarget{UUID: "v1", BootIndex: new(int64(0))}
	for _, c := range []struct {
		name     string
		ipxe     bool
		instance store.Dict
		targets  []*store.VolumeTarget
		writes   bool
		refused  bool
	}{
		{name: "no volume", writes: true},
		{name: "a volume that is not booted", targets: []*store.VolumeTarget{{BootIndex: new(int64(1))}, {}}, writes: true},
		{name: "a boot volume", targets: []*store.VolumeTarget{bootVolume}, refused: true},
		{name: "a boot volume and iPXE", targets: []*store.VolumeTarget{bootVolume}, ipxe: true},
		{name: "a boot volume and an image", targets: []*store.VolumeTarget{bootVolume}, instance: store.Dict{"image_source": "x"}, writes: true},
		{name: "a boot volume and an image that is null", targets: []*store.VolumeTarget{bootVolume},
			instance: store.Dict{"image_source": nil}, writes: true},
	} {
		var boot drivers.Boot = plainBoot{fake.NewBoot(fake.Config{})}
		if c.ipxe {
			boot = fake.NewBoot(fake.Config{})
		}
		task := &drivers.Task{Node: &store.Node{UUID: "n", InstanceInfo: c.instance}, Worker: &worker{targets: c.targets},
			Hardware: &drivers.Hardware{Boot: boot, Network: noop.NewNetwork()}}
		for older, text := range map[bool]string{
			true: "The [pxe]/ipxe_enabled option must be set to True to support network booting to an iSCSI volume or the boot interface " +
				"must be set to ``ipxe``.",
			false: "To support network booting to an iSCSI volume, the boot interface must be set to ``ipxe``.",
		} {
			e := NewExternal(older)
			if writes, err := e.ShouldWriteImage(t.Context(), task); writes != c.writes || err != nil {
				t.Errorf("%s: writes an image %v, %v", c.name, writes, err)
			}
			err := e.Validate(t.Context(), task)
			if text = "Failed to validate external storage interface for node n. " + text; c.refused {
				if store.KindOf(err) != store.InvalidParameterValue || err.Error() != text {
					t.Errorf("%s: %v, want %s", c.name, err, text)
				}
			} else if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

// worker is a conductor with the volumes of one node.
type worker struct {
	drivers.Worker
	// saved are those of targets that were written.
	targets, saved []*store.VolumeTarget
	connectors     []*store.VolumeConnector
}

func (w *worker) VolumeTargets(context.Context, *drivers.Task) ([]*store.VolumeTarget, error) {
	return w.targets, nil
}
