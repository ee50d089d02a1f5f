package agent

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/storage"
	"github.com/ironmaster/ironmaster/store"
)

// volumes is a storage interface that notes what it was asked for among what the boot interface was.
type volumes struct {
	*storage.External
	calls *[]string
	err   error
}

func (v *volumes) AttachVolumes(context.Context, *drivers.Task) error {
	*v.calls = append(*v.calls, "attach_volumes")
	return v.err
}
func (v *volumes) DetachVolumes(context.Context, *drivers.Task) error {
	*v.calls = append(*v.calls, "detach_volumes")
	return v.err
}

func volumeRig(t *testing.T) (*rig, *volumes) {
	t.Helper()
	n := deployNode()
	n.InstanceInfo, n.PowerState = store.Dict{}, store.PowerOn
	n.Properties["capabilities"] = "iscsi_boot:true"
	g := newRig(t, quick(), n)
	v := &volumes{External: storage.NewExternal(false), calls: &g.calls}
	g.task.Hardware.Storage = v
	g.worker.targets = []*store.VolumeTarget{{UUID: "v1", VolumeType: new("iscsi"), BootIndex: new(int64(0))}}
	return g, v
}

// An instance on a volume needs no agent: every step is done at once.
func TestAnInstanceOnAVolumeIsBooted(t *testing.T) {
	g, _ := volumeRig(t)
	if err := g.deploy.Validate(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	for _, s := range g.deploy.Steps(drivers.DeployStep) {
		outcome, err := s.Run(t.Context(), g.task, nil)
		if err != nil || outcome != drivers.Done {
			t.Fatalf("%s: %v, %v", s.Name, outcome, err)
		}
		if s.Resume != nil {
			if outcome, err := s.Resume(t.Context(), g.task, nil); err != nil || outcome != drivers.Done {
				t.Fatalf("%s again: %v, %v", s.Name, outcome, err)
			}
		}
	}
	if !slices.Equal(g.calls, []string{"attach_volumes", "prepare_instance"}) ||
		!slices.Equal(g.worker.power, []string{store.PowerOff, store.PowerOn}) {
		t.Errorf("asked %v, power %v", g.calls, g.worker.power)
	}
}

// With an image the agent is booted, once the volumes are attached.
func TestVolumesAreAttachedBeforeTheAgentBoots(t *testing.T) {
	g, _ := volumeRig(t)
	g.task.Node.InstanceInfo = deployNode().InstanceInfo
	if err := g.deploy.Prepare(t.Context(), g.task); err != nil || !slices.Equal(g.calls, []string{"attach_volumes", "prepare_ramdisk"}) {
		t.Errorf("%v, asked %v", err, g.calls)
	}
}

func TestTearDownTakesVolumesAway(t *testing.T) {
	g, v := volumeRig(t)
	g.task.Node.DriverInternalInfo[drivers.KeyBootVolume] = "v1"
	v.err = errors.New("no storage")
	if err := g.deploy.TearDown(t.Context(), g.task); !errors.Is(err, v.err) || len(g.worker.targets) != 1 {
		t.Errorf("%v, and %d volume targets are left", err, len(g.worker.targets))
	}
	v.err = nil
	if err := g.deploy.TearDown(t.Context(), g.task); err != nil || len(g.worker.targets) != 0 ||
		g.task.Node.DriverInternalInfo[drivers.KeyBootVolume] != nil {
		t.Errorf("%v, %d volume targets are left, %v", err, len(g.worker.targets), g.task.Node.DriverInternalInfo)
	}
}

func TestARamdiskAndAnInstallerGetTheirVolumes(t *testing.T) {
	for name, of := range map[string]func(*Deploy) drivers.Deploy{
		"ramdisk":  func(d *Deploy) drivers.Deploy { return NewRamdisk(d, false) },
		"anaconda": func(d *Deploy) drivers.Deploy { return NewAnaconda(d, false) },
	} {
		g, v := volumeRig(t)
		g.task.Node.InstanceInfo = deployNode().InstanceInfo
		if err := of(g.deploy).Prepare(t.Context(), g.task); err != nil || !slices.Equal(g.calls, []string{"attach_volumes"}) {
			t.Errorf("%s: %v, asked %v", name, err, g.calls)
		}
		v.err = errors.New("no storage")
		if err := of(g.deploy).Prepare(t.Context(), g.task); !errors.Is(err, v.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
