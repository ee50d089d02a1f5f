package image

import "testing"

func TestProgress(t *testing.T) {
	var p Progress
	p.Begin(PhaseDownload, 1000)
	p.Add(100)
	p.Add(100)
	if s := p.Snapshot(); s != (Snapshot{Phase: PhaseDownload, Done: 200, Total: 1000}) {
		t.Errorf("%+v", s)
	}
	p.Set(50)
	if s := p.Snapshot(); s.Done != 50 {
		t.Errorf("after a step back: %+v", s)
	}
	p.Begin(PhaseHash, -1)
	if s := p.Snapshot(); s != (Snapshot{Phase: PhaseHash}) {
		t.Errorf("a new phase: %+v", s)
	}
	var none *Progress
	none.Begin(PhaseDownload, 1)
	none.Add(1)
	none.Set(1)
	if none.Snapshot() != (Snapshot{}) {
		t.Error("a nil Progress counted")
	}
}
