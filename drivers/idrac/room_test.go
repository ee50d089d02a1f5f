package idrac_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/idrac"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

// starts is a worker whose changes of power reach the machine.
type starts struct{ *redfishtest.Found }

func (w starts) SetPower(ctx context.Context, t *drivers.Task, target string) error {
	if target == store.Reboot {
		return t.Hardware.Power.Reboot(ctx, t, 0)
	}
	return t.Hardware.Power.SetPowerState(ctx, t, target, 0)
}

// A machine of the room with the face of an iDRAC is inspected, has nothing to delete but gets into RAID mode, and an array at its next
// start.
func TestRoom(t *testing.T) {
	r, err := room.Open(t.Context(), room.Config{Count: 1, Dir: t.TempDir(), DiskSize: 256 << 20, BMC: "dell", Seed: 7, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}()
	m := r.Machines()[0]
	client := redfishtest.Client(t)
	defer func() {
		if err := client.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	cfg := idrac.DefaultConfig()
	cfg.TaskPoll = time.Millisecond
	w := starts{redfishtest.NewFound()}
	raid := idrac.NewRAID(client, cfg)
	x := &drivers.Task{Worker: w, Log: zerolog.Nop(), Node: &store.Node{UUID: "node-1", Driver: "idrac", ProvisionState: store.Cleaning,
		DriverInfo: store.Dict{}, Properties: store.Dict{}, DriverInternalInfo: store.Dict{}, InstanceInfo: store.Dict{},
		CleanStep: store.Dict{"interface": "raid", "step": "create_configuration"}},
		Hardware: &drivers.Hardware{Network: noop.NewNetwork(), Power: redfish.NewPower(client), RAID: raid, Deploy: fake.NewDeploy(fake.Config{})}}
	for key, value := range m.Info().DriverInfo {
		x.Node.DriverInfo[key] = value
	}
	_, err = idrac.NewInspect(client, cfg, idrac.InspectConfig{InspectConfig: redfish.InspectConfig{Texts: true}, EachCard: true, MarksPorts: true},
		w.Found).InspectHardware(t.Context(), x)
	if err != nil || len(w.Created) != len(m.Info().MACs) {
		t.Fatalf("%v, ports %s", err, w.Described())
	}
	outcome, err := raidStep(t, raid, "delete_configuration").Run(t.Context(), x, nil)
	if err != nil || outcome != drivers.Waiting || m.Snapshot().ControllerMode != "RAID" {
		t.Fatalf("%v, %v, mode %s", outcome, err, m.Snapshot().ControllerMode)
	}
	if done, err := raid.Poll(t.Context(), x); err != nil || !done {
		t.Fatalf("%v, %v", done, err)
	}
	x.Node.TargetRAIDConfig = store.Dict{"logical_disks": []any{map[string]any{"size_gb": "MAX", "raid_level": "0", "physical_disks": []any{"1"}}}}
	outcome, err = raidStep(t, raid, "create_configuration").Run(t.Context(), x, nil)
	if err != nil || outcome != drivers.Waiting || !slices.Equal(m.Snapshot().Volumes, []string{"RAID0"}) {
		t.Fatalf("%v, %v, volumes %v", outcome, err, m.Snapshot().Volumes)
	}
	done, err := raid.Poll(t.Context(), x)
	if disks := x.Node.RAIDConfig.List("logical_disks"); err != nil || !done || len(disks) != 1 {
		t.Errorf("%v, %v, raid_config %v", done, err, x.Node.RAIDConfig)
	}
}
