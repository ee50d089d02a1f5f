package replay

import (
	"path/filepath"
	"testing"
)

// monitored asks what was recorded of a caller that watches over its call: it wants a sign of life every second while the vendor
// method takes its time, and the answer then.
func (w *world) monitored(t *testing.T) {
	w.restart(t, options{"fake": {"vendor_delay": "5"}})
	const name = "vendor_passthru--direct-call-monitor"
	file := filepath.Join("21.4", "special", name+".json")
	asked, outcome := recording{name: name}, recording{name: name}
	w.read(t, file, &asked)
	w.read(t, file, &outcome)
	var s setups
	w.read(t, "setup.json", &s)
	signs := outcome.Replies[:len(outcome.Replies)-1]
	outcome.Replies = outcome.Replies[len(signs):]
	c := trial{asked: asked, want: w.expectation(t, outcome)}
	if w.replay(t, s, c, difference{}, w.differences(t)["*"]) != same {
		t.Errorf("%s differs", name)
	}
	seen, _ := w.tap.traffic()
	got := 0
	for _, m := range seen.replies {
		if m.Message["ending"] == false {
			got++
		}
	}
	if got == 0 || len(signs) == 0 {
		t.Errorf("%d signs of life came, %d were recorded", got, len(signs))
	}
}
