package redfish_test

import (
	"context"
	"errors"
	"maps"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Every kind of BMC that the simulated room has starts its agent from our ISO, and then its disk.
func TestRoom(t *testing.T) {
	for name, quirks := range map[string]room.Quirks{
		"plain": {}, "PATCH": {PatchMedia: 1}, "media at the system": {SystemMedia: 1}, "basic": {BasicOnly: 1},
		"ETag": {RequireETag: 1, PatchMedia: 1},
	} {
		r, err := room.Open(t.Context(), room.Config{Count: 1, Dir: t.TempDir(), DiskSize: 8 << 20, Quirks: quirks,
			Faults: room.Faults{DropSession: 0.1}, Seed: 7, Log: zerolog.Nop()})
		if err != nil {
			t.Fatal(err)
		}
		m := r.Machines()[0]
		c := redfish.New(quick(), zerolog.Nop())
		p := newPublisher(t)
		x, _ := task(c, m.Info().Address)
		maps.Copy(x.Node.DriverInfo, store.Dict{"redfish_username": m.Info().Username, "redfish_password": m.Info().Password,
			"redfish_verify_ca": m.Info().CAFile, "deploy_kernel": "kernel", "deploy_ramdisk": "ramdisk"})
		x.Node.ProvisionState = store.Deploying
		x.Hardware.Boot = redfish.NewVirtualMedia(c, mediaConfig(), isos(t), p)
		boot, power := x.Hardware.Boot, x.Hardware.Power
		params := map[string]string{"ipa-api-url": p.url}
		err = boot.PrepareRamdisk(t.Context(), x, params)
		if err == nil {
			err = power.Reboot(t.Context(), x, 0)
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		wait(t, name+": the agent", func() bool { return m.Snapshot().Booted == room.BootAgent })
		if err := errors.Join(power.SetPowerState(t.Context(), x, store.PowerOff, 0), boot.PrepareInstance(t.Context(), x)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if s := m.Snapshot(); s.Media != "" || s.Powered {
			t.Errorf("%s: %+v", name, s)
		}
		if err := errors.Join(c.Close(context.Background()), r.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s does not come", what)
		}
	}
}
