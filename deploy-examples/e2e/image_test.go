package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompareTellsWhatTheAgentChangesFromDamage(t *testing.T) {
	const size = 128 * sector
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i % 251)
	}
	for _, test := range []struct {
		name    string
		changed int
		want    string
	}{
		{"nothing", -1, ""},
		{"boot code", 10, "byte 10 of the disk"},
		{"size in the MBR", 460, ""},
		{"first header", sector + 32, ""},
		{"an entry of the table", 2*sector + 5, "byte 1029 of the disk"},
		{"last byte before the second table", size - secondTable - 1, "of the disk is"},
		{"second table", size - secondTable, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			disk := make([]byte, size*2)
			copy(disk, content)
			if test.changed >= 0 {
				disk[test.changed] ^= 0xff
			}
			raw, diskFile := filepath.Join(dir, "image.raw"), filepath.Join(dir, "disk.raw")
			for file, bytes := range map[string][]byte{raw: content, diskFile: disk} {
				if err := os.WriteFile(file, bytes, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			err := (&image{raw: raw, size: size}).compare(diskFile)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}
