package main

import "testing"

func TestBootNamesAnInterface(t *testing.T) {
	for named, want := range map[string]string{"": virtualMedia, "pxe": "pxe", "ipxe": "ipxe", "redfish-virtual-media": virtualMedia, "volume": "ipxe"} {
		if got, volume, err := bootFrom(named); err != nil || got != want || volume != (named == "volume") {
			t.Errorf("%q is %q, %v, %v", named, got, volume, err)
		}
	}
	if got, _, err := bootFrom("floppy"); err == nil {
		t.Errorf("floppy is %q", got)
	}
}
