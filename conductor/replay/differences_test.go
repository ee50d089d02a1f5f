package replay

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestEachDeliberateDifferenceIsDocumented(t *testing.T) {
	document, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile("testdata/differences.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]map[string]difference
	if err := json.Unmarshal(content, &all); err != nil {
		t.Fatal(err)
	}
	own, err := os.ReadFile("testdata/own.json")
	if err != nil {
		t.Fatal(err)
	}
	indirect, err := os.ReadFile("testdata/indirect.json")
	if err != nil {
		t.Fatal(err)
	}
	own = append(own, indirect...)
	for of, differences := range all {
		if release, ok := strings.CutPrefix(of, "ironmaster"); ok {
			checkDifferences(t, differences, string(document), string(own), strings.TrimSpace(release))
		}
	}
}

// checkDifferences looks for each difference, of one release or "" for all of them, in the document.
func checkDifferences(t *testing.T, differences map[string]difference, document, own, release string) {
	t.Helper()
	if release != "" && !slices.ContainsFunc(releases, func(r releaseRecord) bool { return r.name == release }) {
		t.Errorf("release %s was not recorded", release)
	}
	for name, d := range differences {
		if d.Reason == "" || len(d.Paths) == 0 && d.Notifications == nil {
			t.Errorf("%s: a difference needs a reason and places", name)
		}
		if !strings.Contains(document, "`"+name+"`") {
			t.Errorf("docs/compatibility.md does not name %s", name)
		}
		recorded, _ := filepath.Glob("testdata/21.4/" + name + ".json")
		planted, _ := filepath.Glob("testdata/" + name + "-21.4.json")
		if name != "*" && name != "pinned" && len(planted) == 0 && len(recorded) == 0 && !strings.Contains(own, `"`+name+`"`) {
			t.Errorf("there is no case %s", name)
		}
	}
}
