package config

import (
	"slices"
	"testing"
)

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

func TestPairsKeepTheirOrder(t *testing.T) {
	got, err := parsePairs(" z:1, a : 2,x,y:3,m:b:c")
	if want := (Pairs{{"z", "1"}, {"a", "2"}, {"x,y", "3"}, {"m", "b:c"}}); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	for _, text := range []string{"a", "a:1,b", ":1", "a:1,a:2"} {
		if got, err := parsePairs(text); err == nil {
			t.Errorf("parsePairs(%q) = %v, want an error", text, got)
		}
	}
}
