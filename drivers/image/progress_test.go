package image

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestProgressRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p Progress
		p.Begin(PhaseDownload, 1000)
		if _, ok := p.Snapshot().ETA(); ok {
			t.Error("an ETA without a rate")
		}
		for range 8 {
			time.Sleep(time.Second)
			p.Add(100)
		}
		s := p.Snapshot()
		left, ok := s.ETA()
		if s.Rate != 100 || s.Percent() != 80 || !ok || left != 2*time.Second {
			t.Errorf("%+v, ETA %v %v", s, left, ok)
		}
		p.Set(50)
		if s := p.Snapshot(); s.Done != 50 || s.Rate != 0 {
			t.Errorf("after a step back: %+v", s)
		}
		p.Begin(PhaseHash, -1)
		if s := p.Snapshot(); s.Total != 0 || s.Done != 0 || s.Percent() != 0 || s.Phase != PhaseHash {
			t.Errorf("a new phase: %+v", s)
		}
	})
	var none *Progress
	none.Begin(PhaseDownload, 1)
	none.Add(1)
	none.Set(1)
	if none.Snapshot() != (Snapshot{}) {
		t.Error("a nil Progress counted")
	}
}
