package config

import "testing"

func TestFileModesAreDecimalUnlessTheyLookOctal(t *testing.T) {
	for text, want := range map[string]FileMode{"420": 0o644, "0644": 0o644, "0o644": 0o644, " 493 ": 0o755, "0": 0} {
		if got, err := parseFileMode(text); err != nil || got != want {
			t.Errorf("parseFileMode(%q) = %o, %v; want %o", text, got, err, want)
		}
	}
	for _, text := range []string{"", "rw-r--r--", "0888", "-1", "99999", "0x1a4"} {
		if got, err := parseFileMode(text); err == nil {
			t.Errorf("parseFileMode(%q) = %o, want an error", text, got)
		}
	}
}
