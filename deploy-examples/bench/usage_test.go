package main

import (
	"os"
	"syscall"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	cpu, pgrp, err := parseStat([]byte("4711 (a (b) c) S 1 4700 4700 0 -1 4194560 0 0 0 0 100 20 3 4 20 0 1 0 77 0 0"))
	if err != nil || pgrp != 4700 || cpu != 1270*time.Millisecond {
		t.Errorf("got %s in group %d (%v), want 1.27s in group 4700", cpu, pgrp, err)
	}
	if _, _, err := parseStat([]byte("4711 (x) S 1")); err == nil {
		t.Error("a stat that is cut off was read")
	}
}

func TestUsageOfThisGroup(t *testing.T) {
	u, err := usageOf(syscall.Getpgrp())
	if err != nil || u.memory <= 0 || u.peak <= 0 {
		t.Errorf("got %+v (%v)", u, err)
	}
	if _, err := usageOf(os.Getpid() + 1<<22); err == nil {
		t.Error("a group without processes uses something")
	}
}

func TestPercentile(t *testing.T) {
	var waits []time.Duration
	for i := range 200 {
		waits = append(waits, time.Duration(i+1))
	}
	for percent, want := range map[int]time.Duration{50: 100, 99: 198, 100: 200} {
		if got := percentile(waits, percent); got != want {
			t.Errorf("percentile %d is %d, want %d", percent, got, want)
		}
	}
	if got := percentile(waits[:1], 99); got != 1 {
		t.Errorf("of one value it is %d", got)
	}
}
