package replay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// rpcVersions are the RPC interfaces of the recorded releases.
var rpcVersions = map[string]string{"21.4": "1.55", "29.0": "1.61", "39.0": "1.62"}

// uses counts how the cases that were replayed make use of a method.
type uses struct{ answered, refused int }

// countUse notes which method a case is about, and whether it is refused.
func (w *world) countUse(want recording) {
	if want.Request == nil {
		return
	}
	method, _ := want.Request.Message["method"].(string)
	u := w.uses[method]
	refused := false
	for _, reply := range want.Replies {
		refused = refused || reply.Message["failure"] != nil
	}
	if refused {
		u.refused++
	} else {
		u.answered++
	}
	w.uses[method] = u
}

// coverage asks for a case of each method that the release has, and for one of its failures.
func (w *world) coverage(t *testing.T) {
	if os.Getenv("REPLAY_CASES") != "" || w.recording() {
		return // Not all cases were replayed.
	}
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "compatibility.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(content), "\n| method | version | here |\n|---|---|---|\n")
	if !found {
		t.Fatal("docs/compatibility.md has no table of methods")
	}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, "|")
		if len(cells) < 4 {
			break
		}
		method, version := strings.Trim(cells[1], " `"), strings.TrimSpace(cells[2])
		if older(rpcVersions[releases[w.release].name], version) || strings.Contains(cells[3], "not supported") {
			continue
		}
		// Whoever sends a cast hears of no failure.
		isCast := strings.HasPrefix(method, "continue_node_")
		if u := w.uses[method]; u.answered == 0 && !answeredByHardware[method] || u.refused == 0 && !isCast {
			t.Errorf("%s: %d cases in which it is answered, %d in which it is refused", method, u.answered, u.refused)
		}
	}
}

// answeredByHardware are methods that only a BMC can answer, of which the replay has none (drivers/redfish tests them).
var answeredByHardware = map[string]bool{"inject_nmi": true, "set_indicator_state": true, "driver_vendor_passthru": true,
	"get_virtual_media": true}
