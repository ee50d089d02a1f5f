package agent

import (
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// netboot is a boot interface that boots over the network.
type netboot struct{ *boot }

func (*netboot) Capabilities() []string { return []string{drivers.CanBootPXE} }

func installRig(t *testing.T) (*rig, *Anaconda) {
	t.Helper()
	n := deployNode()
	n.DriverInternalInfo["agent_status"], n.DriverInternalInfo["agent_status_message"] = "end", "of another life"
	g := newRig(t, quick(), n)
	g.task.Hardware.Boot = &netboot{g.boot}
	return g, NewAnaconda(g.deploy, false)
}

func TestAnacondaInstallsByItself(t *testing.T) {
	g, a := installRig(t)
	if got := stepNames(a); !slices.Equal(got, []string{"deploy"}) {
		t.Errorf("steps %v", got)
	}
	if err := a.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	n := g.task.Node
	if n.DriverInternalInfo["agent_status"] != nil || n.InstanceInfo.String("image_url") != "http://images/disk.qcow2" || len(g.calls) != 0 {
		t.Errorf("prepared: %v, %v, boot %v", n.DriverInternalInfo, n.InstanceInfo, g.calls)
	}
	outcome, err := a.Steps(drivers.DeployStep)[0].Run(t.Context(), g.task, nil)
	if err != nil || outcome != drivers.Waiting || !slices.Equal(g.calls, []string{"prepare_instance"}) || n.PowerState != store.PowerOn {
		t.Errorf("%v, %v, boot %v, power %v", outcome, err, g.calls, g.worker.power)
	}
}

func TestAnacondaInstallsATree(t *testing.T) {
	g, a := installRig(t)
	n := g.task.Node
	n.DriverInternalInfo = store.Dict{"is_source_a_path": true}
	n.InstanceInfo = store.Dict{"image_source": "http://mirror/os/", "kernel": "http://k", "ramdisk": "http://r"}
	if err := a.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	if n.InstanceInfo.String("image_url") != "http://mirror/os/" || n.InstanceInfo["image_type"] != nil {
		t.Errorf("instance_info %v", n.InstanceInfo)
	}
}

func TestAnacondaNeedsTheNetwork(t *testing.T) {
	g, a := installRig(t)
	g.task.Hardware.Boot = g.boot
	// fake says of itself that it can boot from the network.
	if err := a.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	g.task.Hardware.Boot = &live{boot: g.boot}
	err := a.Prepare(t.Context(), g.task)
	if store.KindOf(err) != store.InvalidParameterValue || !strings.Contains(err.Error(), "cannot boot an installer") {
		t.Errorf("got %v", err)
	}
}

func TestAnacondaGoesOnAfterACrash(t *testing.T) {
	for _, c := range []struct {
		name, status string
		foreign      bool
		want         drivers.Outcome
		power, boot  []string
	}{
		{"not heard of", "", false, drivers.Waiting, []string{store.PowerOff, store.PowerOn}, []string{"prepare_instance"}},
		{"installing", "start", false, drivers.Waiting, nil, nil},
		{"installing from a worker that is gone", "start", true, drivers.Waiting, []string{store.PowerOff, store.PowerOn},
			[]string{"prepare_instance"}},
		{"installed", "end", true, drivers.Done, []string{store.PowerOff, store.PowerOn}, nil},
	} {
		g, a := installRig(t)
		g.task.Foreign = c.foreign
		g.task.Node.DriverInternalInfo["agent_status"] = c.status
		outcome, err := a.Steps(drivers.DeployStep)[0].Resume(t.Context(), g.task, nil)
		if err != nil || outcome != c.want || !slices.Equal(g.worker.power, c.power) || !slices.Equal(g.calls, c.boot) {
			t.Errorf("%s: %v, %v, power %v, boot %v", c.name, outcome, err, g.worker.power, g.calls)
		}
	}
}

func TestAnacondaEndsOnTheDisk(t *testing.T) {
	g, a := installRig(t)
	info := g.task.Node.DriverInternalInfo
	info["stage2"], info["ks_template"] = "s", "k"
	if err := a.FinishInstall(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	if g.management.device != store.BootDeviceDisk || !g.management.persistent || g.task.Node.PowerState != store.PowerOn ||
		info["stage2"] != nil || info["ks_template"] != nil || len(g.publisher.withdrawn) != 1 {
		t.Errorf("boot device %s, power %v, %v, withdrawn %v", g.management.device, g.worker.power, info, g.publisher.withdrawn)
	}
}
