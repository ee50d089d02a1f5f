package image

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestBuildISO(t *testing.T) {
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	files := map[string][]byte{
		"empty":                         {},
		"a/Mixed-Case.name.txt":         []byte("one"),
		"a/b/c/deep":                    make([]byte, 5000),
		strings.Repeat("n", 64):         []byte("long"),
		"a/b/" + strings.Repeat("x", 9): []byte("two"),
	}
	image, err := buildISO("some-label", files, now)
	if err != nil {
		t.Fatal(err)
	}
	iso := writeFile(t, filepath.Join(t.TempDir(), "x.iso"), image)
	for _, names := range []string{"-R", "-J"} {
		for name, want := range files {
			if got := isoFile(t, iso, names, "/"+name); got != string(want) {
				t.Errorf("%s %s: %.20q", names, name, got)
			}
		}
	}
	run(t, "xorriso", "-indev", iso, "-check_media", "--")
	if in := inspectBytes(t, image); in.Format != FormatISO || in.VirtualSize != int64(len(image)) || in.Unsafe != "" {
		t.Errorf("got %+v for %d bytes", in, len(image))
	}
	again, err := buildISO("some-label", files, now)
	if err != nil || string(again) != string(image) {
		t.Errorf("the same files gave another image: %v", err)
	}
}

func TestBuildISORefuses(t *testing.T) {
	many := map[string][]byte{}
	for i := range 100 {
		many["file-"+strconv.Itoa(i)] = nil
	}
	for text, files := range map[string]map[string][]byte{
		"does not fit":  {strings.Repeat("n", 65): nil},
		"used twice":    {"a": {}, "a/b": {}},
		"look the same": {"A": {}, "a": {}},
		"is too large":  many,
		"fit an ISO":    {"/absolute": {}},
	} {
		if _, err := buildISO("x", files, time.Now()); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: got %v", text, err)
		}
	}
}
