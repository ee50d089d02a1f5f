package redfish_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/redfish/redfishtest"
	"github.com/ironmaster/ironmaster/store"
)

func TestUsersVirtualMedia(t *testing.T) {
	b := newBMC(t)
	b.cd(true, "CD", "DVD")
	x, _ := task(open(t, quick()), b.url)
	drives := x.Hardware.Management.(drivers.MediaDrives)
	if err := drives.AttachMedia(t.Context(), x, drivers.MediaCDROM, "http://here/x.iso"); err != nil {
		t.Fatal(err)
	}
	// Twice is once.
	if err := drives.AttachMedia(t.Context(), x, drivers.MediaCDROM, "http://here/x.iso"); err != nil || len(b.changes()) != 1 {
		t.Errorf("attached again: %v", err)
	}
	all, err := drives.VirtualMedia(t.Context(), x)
	if err != nil || len(all) != 1 || !all[0].Inserted || all[0].Image != "http://here/x.iso" || !slices.Equal(all[0].Types, []string{"CD", "DVD"}) {
		t.Errorf("%+v, %v", all, err)
	}
	redfishtest.WantError(t, drives.AttachMedia(t.Context(), x, drivers.MediaCDROM, "http://here/y.iso"), store.InvalidParameterValue,
		"No suitable virtual media device found")
	redfishtest.WantError(t, drives.AttachMedia(t.Context(), x, drivers.MediaFloppy, "http://here/y"), store.InvalidParameterValue,
		"No suitable virtual media device found")
	if err := drives.DetachMedia(t.Context(), x, drivers.MediaFloppy); err != nil || len(b.changes()) != 0 {
		t.Errorf("another device: %v", err)
	}
	if err := drives.DetachMedia(t.Context(), x, drivers.MediaCDROM); err != nil || len(b.changes()) != 1 {
		t.Errorf("detached: %v", err)
	}
	if err := drives.DetachMedia(t.Context(), x, ""); err != nil || len(b.changes()) != 0 {
		t.Errorf("detached again: %v", err)
	}
	b.refuse = func(path string, _ object) (int, string) {
		if strings.HasSuffix(path, "InsertMedia") {
			return 400, "for internal use"
		}
		return 0, ""
	}
	redfishtest.WantError(t, drives.AttachMedia(t.Context(), x, drivers.MediaCDROM, "http://here/secret.iso"), store.InvalidParameterValue,
		"All virtual media mount attempts failed. Most recent error: ", "for internal use")
}

func TestVirtualMediaOfABMCWithoutDrives(t *testing.T) {
	b := newBMC(t)
	x, _ := task(open(t, quick()), b.url)
	_, err := redfish.NewManagement(open(t, quick()), "uefi").VirtualMedia(t.Context(), x)
	redfishtest.WantError(t, err, store.InvalidParameterValue, "No suitable virtual media device found")
}
