package agent

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

func stepNames(d drivers.Deploy) (names []string) {
	for _, s := range d.Steps(drivers.DeployStep) {
		names = append(names, s.Name)
	}
	return names
}

func TestCustomAgentWritesNoImage(t *testing.T) {
	n := deployNode()
	n.InstanceInfo = store.Dict{}
	g := newRig(t, quick(), n)
	c := NewCustomAgent(g.deploy)
	want := []string{"deploy", "prepare_instance_boot", "tear_down_agent", "switch_to_tenant_network", "boot_instance"}
	if got := stepNames(c); !slices.Equal(got, want) || len(c.Steps(drivers.CleanStep)) != 0 {
		t.Errorf("steps %v", got)
	}
	if err := c.Validate(t.Context(), g.task); err != nil {
		t.Errorf("without an image: %v", err)
	}
	if err := c.Prepare(t.Context(), g.task); err != nil {
		t.Fatal(err)
	}
	if len(n.InstanceInfo) != 0 || !slices.Equal(g.calls, []string{"prepare_ramdisk"}) || !slices.Equal(g.worker.power, []string{store.PowerOff}) {
		t.Errorf("instance_info %v, boot %v, power %v", n.InstanceInfo, g.calls, g.worker.power)
	}
	n.InstanceInfo["root_device"] = store.Dict{"size": "large"}
	if err := c.Validate(t.Context(), g.task); store.KindOf(err) != store.InvalidParameterValue {
		t.Errorf("bad root device hints: %v", err)
	}
}

func runStep(t *testing.T, g *rig, d drivers.Deploy, name string) error {
	t.Helper()
	for _, s := range d.Steps(drivers.DeployStep) {
		if s.Name == name {
			outcome, err := s.Run(t.Context(), g.task, nil)
			if outcome != drivers.Done {
				t.Errorf("%s ended in %v", name, outcome)
			}
			return err
		}
	}
	t.Fatalf("there is no step %s", name)
	return nil
}

// The machine boots by whatever means its boot interface has: no agent is asked for partitions.
func TestCustomAgentLeavesBootingToTheBootInterface(t *testing.T) {
	g := newRig(t, quick(), deployNode())
	c := NewCustomAgent(g.deploy)
	if err := runStep(t, g, c, "prepare_instance_boot"); err != nil || !slices.Equal(g.calls, []string{"prepare_instance"}) {
		t.Errorf("%v, boot %v", err, g.calls)
	}
	g.boot.err = errors.New("no BMC")
	err := runStep(t, g, c, "prepare_instance_boot")
	if store.KindOf(err) != store.InstanceDeployFailure || !strings.HasPrefix(err.Error(), "Failed to prepare instance for booting") {
		t.Errorf("got %v", err)
	}
}

// live is a boot interface that boots ramdisks.
type live struct {
	*boot
	resumed int
}

func (*live) Capabilities() []string { return []string{drivers.CanBootRamdisk} }

func (l *live) ResumeInstance(context.Context, *drivers.Task) error { l.resumed++; return nil }

func ramdiskRig(t *testing.T) (*rig, *Ramdisk, *live) {
	t.Helper()
	n := deployNode()
	n.InstanceInfo = store.Dict{"kernel": "k", "ramdisk": "r"}
	g := newRig(t, quick(), n)
	boot := &live{boot: g.boot}
	g.task.Hardware.Boot = boot
	return g, NewRamdisk(g.deploy, false), boot
}

func TestRamdiskNeedsABootInterfaceThatCan(t *testing.T) {
	g, r, _ := ramdiskRig(t)
	if err := r.Validate(t.Context(), g.task); err != nil {
		t.Error(err)
	}
	g.task.Node.InstanceInfo["capabilities"] = "x"
	if err := r.Validate(t.Context(), g.task); store.KindOf(err) != store.InvalidParameterValue {
		t.Errorf("bad capabilities: %v", err)
	}
	g.task.Hardware.Boot = g.boot
	err := r.Validate(t.Context(), g.task)
	want := "Invalid configuration: The boot interface must have the `ramdisk_boot` capability. You are using an incompatible boot interface."
	if store.KindOf(err) != store.InvalidParameterValue || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

func TestRamdiskBootsTheInstanceAtOnce(t *testing.T) {
	g, r, _ := ramdiskRig(t)
	if got := stepNames(r); !slices.Equal(got, []string{"deploy"}) || len(r.Steps(drivers.CleanStep)) != 0 {
		t.Errorf("steps %v", got)
	}
	if err := r.Prepare(t.Context(), g.task); err != nil || len(g.calls) != 0 {
		t.Errorf("preparing: %v, boot %v", err, g.calls)
	}
	if err := runStep(t, g, r, "deploy"); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(g.calls, []string{"prepare_instance"}) || !slices.Equal(g.worker.power, []string{store.PowerOff, store.PowerOff, store.PowerOn}) {
		t.Errorf("boot %v, power %v", g.calls, g.worker.power)
	}
	g.boot.err = store.Errorf(store.InvalidParameterValue, "no drive")
	if err := runStep(t, g, r, "deploy"); store.KindOf(err) != store.InvalidParameterValue || g.task.Node.PowerState != store.PowerOff {
		t.Errorf("%v, power %s", err, g.task.Node.PowerState)
	}
}

func TestRamdiskInstancesAreTakenOver(t *testing.T) {
	for state, want := range map[string][]string{store.Active: {"prepare_instance"}, store.Unrescuing: {"prepare_instance"},
		store.Adopting: nil} {
		g, r, _ := ramdiskRig(t)
		g.task.Node.ProvisionState = state
		if err := r.Prepare(t.Context(), g.task); err != nil || !slices.Equal(g.calls, want) {
			t.Errorf("%s: %v, boot %v", state, err, g.calls)
		}
	}
	g, r, boot := ramdiskRig(t)
	g.task.Node.ProvisionState = store.Active
	if err := r.TakeOver(t.Context(), g.task); err != nil || boot.resumed != 1 {
		t.Errorf("%v, served %d times", err, boot.resumed)
	}
}

// Agents of the cleaning before offer steps of deployments too; none takes part in one.
func TestRamdiskTakesNoDeployStepsOfAgents(t *testing.T) {
	g, r, _ := ramdiskRig(t)
	listed := store.Dict{"deploy": []any{map[string]any{"interface": "deploy", "step": "inject_files", "priority": 50}}}
	g.task.Node.DriverInternalInfo["agent_cached_deploy_steps"] = listed
	g.task.Node.DriverInternalInfo["agent_cached_clean_steps"] = listed
	for kind, want := range map[drivers.StepKind]int{drivers.DeployStep: 0, drivers.CleanStep: 1} {
		if steps, ok := r.CachedSteps(g.task, kind, drivers.TypeDeploy); !ok || len(steps) != want {
			t.Errorf("%s: %v", kind, steps)
		}
	}
}
