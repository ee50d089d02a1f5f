package main

import "testing"

func TestBootNamesAnInterface(t *testing.T) {
	for named, want := range map[string]string{"": virtualMedia, "pxe": "pxe", "ipxe": "ipxe", "redfish-virtual-media": virtualMedia} {
		if got, err := bootInterface(named); err != nil || got != want {
			t.Errorf("%q is %q, %v", named, got, err)
		}
	}
	if got, err := bootInterface("floppy"); err == nil {
		t.Errorf("floppy is %q", got)
	}
}
