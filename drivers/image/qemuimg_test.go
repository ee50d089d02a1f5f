package image

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPercentParser(t *testing.T) {
	var got float64
	p := percentParser{onPercent: func(percent float64) { got = percent }}
	for _, part := range []string{"    (0.00/100%)\r    (12.", "50/100%)\r", strings.Repeat("x", 1000), "\nnonsense\r"} {
		if _, err := p.Write([]byte(part)); err != nil {
			t.Fatal(err)
		}
	}
	if got != 12.5 {
		t.Errorf("percent %v", got)
	}
}

func TestARunThatStallsEnds(t *testing.T) {
	cfg := DefaultConfig().Convert
	cfg.QemuImg = filepath.Join(t.TempDir(), "sleeper")
	if err := os.WriteFile(cfg.QemuImg, []byte("#!/bin/sh\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := NewQemuImg(cfg).Run(t.Context(), QemuImgRun{Stall: 100 * time.Millisecond})
	if err == nil || !strings.Contains(err.Error(), "no bytes moved for 100ms") {
		t.Errorf("got %v", err)
	}
}
