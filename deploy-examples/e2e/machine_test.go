package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestOnlyTheLastBootCounts(t *testing.T) {
	const marker = "IMAGE 1234 booted from disk:"
	for _, test := range []struct {
		name, console, want string
	}{
		{"there", "=== power on: UEFI boot from Hdd\r\nBdsDxe\r\n" + marker + " firmware=uefi root=/dev/vda3\r\n",
			marker + " firmware=uefi root=/dev/vda3"},
		{"of an earlier boot", marker + " firmware=uefi root=/dev/vda3\r\n=== power on: UEFI boot from Hdd\r\n", ""},
		{"by the other firmware", "=== power on: UEFI boot from Hdd\r\n" + marker + " firmware=bios root=/dev/vda3\r\n", ""},
		{"of another image", "=== power on: UEFI boot from Hdd\r\nIMAGE 9 booted from disk: firmware=uefi root=/dev/vda3\r\n", ""},
		{"no console yet", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &machine{firmware: "uefi", console: filepath.Join(t.TempDir(), "console.log")}
			if test.console != "" {
				if err := os.WriteFile(m.console, []byte(test.console), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			if test.want == "" {
				cancel()
			}
			defer cancel()
			if got, err := m.awaitMarker(ctx, marker); got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("%q, %v; want %q", got, err, test.want)
			}
		})
	}
}
