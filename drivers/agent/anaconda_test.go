package agent

import (
	"errors"
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
		// kept is the status in the row afterwards.
		kept string
	}{
		{name: "not heard of", want: drivers.Waiting, power: []string{store.PowerOff, store.PowerOn}, boot: []string{"prepare_instance"}},
		{name: "installing", status: "start", want: drivers.Waiting, kept: "start"},
		{name: "installing from a worker that is gone", status: "start", foreign: true, want: drivers.Waiting, kept: "start"},
		{name: "failed", status: "error", want: drivers.Waiting, power: []string{store.PowerOff, store.PowerOn},
			boot: []string{"prepare_instance"}},
		{name: "installed", status: "end", foreign: true, want: drivers.Done, power: []string{store.PowerOff, store.PowerOn}, kept: "end"},
	} {
		g, a := installRig(t)
		g.task.Foreign = c.foreign
		g.task.Node.DriverInternalInfo["agent_status"] = c.status
		outcome, err := a.Steps(drivers.DeployStep)[0].Resume(t.Context(), g.task, nil)
		if err != nil || outcome != c.want || !slices.Equal(g.worker.power, c.power) || !slices.Equal(g.calls, c.boot) ||
			g.task.Node.DriverInternalInfo.String("agent_status") != c.kept {
			t.Errorf("%s: %v, %v, power %v, boot %v, %v", c.name, outcome, err, g.worker.power, g.calls, g.task.Node.DriverInternalInfo)
		}
	}
}

// Nobody listens any more to an installer whose machine is booted anew, from before it is switched off.
func TestAnacondaForgetsAnInstallerBeforeItsMachineIsSwitchedOff(t *testing.T) {
	g, a := installRig(t)
	info := g.task.Node.DriverInternalInfo
	info["agent_status"], info[drivers.KeyAgentToken], info[drivers.KeyTokenPregenerated] = "error", "secret", true
	g.worker.powerErr = errors.New("no power")
	_, err := a.Steps(drivers.DeployStep)[0].Run(t.Context(), g.task, nil)
	if !errors.Is(err, g.worker.powerErr) || info[drivers.KeyAgentToken] != nil || info[drivers.KeyTokenPregenerated] != nil ||
		info["agent_status"] != nil || len(g.calls) != 0 {
		t.Errorf("%v, boot %v, %v", err, g.calls, info)
	}
}

// An installation that begins anew reads its image from the worker that began it.
func TestAnacondaServesItsImageWhenItBeginsAnew(t *testing.T) {
	for _, tree := range []bool{false, true} {
		g, a := installRig(t)
		g.publisher.gone = true
		g.task.Node.DriverInternalInfo["is_source_a_path"] = tree
		g.task.Node.InstanceInfo["image_url"], g.task.Node.InstanceInfo["image_source"] = "http://gone/image", "file:///srv/image"
		if _, err := a.Steps(drivers.DeployStep)[0].Run(t.Context(), g.task, nil); err != nil {
			t.Fatal(err)
		}
		if got := g.task.Node.InstanceInfo.String("image_url"); (got == "http://gone/image") != tree {
			t.Errorf("a tree: %v, the installer reads from %s", tree, got)
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
