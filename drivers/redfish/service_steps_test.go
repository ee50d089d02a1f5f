package redfish

import (
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
)

// A servicing changes what ironic lets it: settings may be applied, not reset; arrays may be made and deleted.
func TestServiceSteps(t *testing.T) {
	for name, c := range map[string]struct {
		steps []drivers.Step
		want  []string
	}{
		"bios": {(&BIOS{}).Steps(drivers.ServiceStep), []string{"apply_configuration"}},
		"raid": {(&RAID{}).Steps(drivers.ServiceStep), []string{"delete_configuration", "apply_configuration"}},
		"none": {slices.Concat((&BIOS{}).Steps(drivers.VerifyStep), (&RAID{}).Steps(drivers.VerifyStep)), nil},
	} {
		var got []string
		for _, s := range c.steps {
			if got = append(got, s.Name); !s.RequiresRamdisk || s.Priority != 0 {
				t.Errorf("%s: %s has the priority %d, needs a ramdisk: %v", name, s.Name, s.Priority, s.RequiresRamdisk)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: it offers %q", name, got)
		}
	}
}
