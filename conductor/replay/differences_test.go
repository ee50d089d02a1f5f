package replay

import (
	"encoding/json"
	"os"
	"path/filepath"
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
	for name, d := range all["ironmaster"] {
		if d.Reason == "" || len(d.Paths) == 0 && d.Notifications == nil {
			t.Errorf("%s: a difference needs a reason and places", name)
		}
		if !strings.Contains(string(document), "`"+name+"`") {
			t.Errorf("docs/compatibility.md does not name %s", name)
		}
		recorded, _ := filepath.Glob("testdata/21.4/" + name + ".json")
		planted, _ := filepath.Glob("testdata/" + name + "-21.4.json")
		if name != "*" && len(planted) == 0 && len(recorded) == 0 && !strings.Contains(string(own), `"`+name+`"`) {
			t.Errorf("there is no case %s", name)
		}
	}
}
