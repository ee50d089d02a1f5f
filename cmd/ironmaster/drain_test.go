package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/conductor"
)

func TestADrainReadsWell(t *testing.T) {
	for want, d := range map[string]*conductor.DrainView{
		"worker-1 is told to drain":                   nil,
		"worker-1 is draining: leaving the hash ring": {Doing: "leaving the hash ring"},
		"worker-1 is draining: letting work end, 1 flow or request at work, at most until 19:30 UTC": {Doing: "letting work end",
			AtWork: 1, Until: time.Date(2026, 1, 2, 19, 30, 59, 0, time.UTC)},
		"worker-1 is draining: serving nodes that wait, 2 nodes read from it": {Doing: "serving nodes that wait", Readers: 2},
	} {
		if got := drainText(conductor.Health{Host: "worker-1", Draining: d}); got != want {
			t.Errorf("told as %q, want %q", got, want)
		}
	}
}

// The number of a process comes from the conductor's address, which may lead to another machine.
func TestOnlyConductorsAreSignalled(t *testing.T) {
	err := signalConductor(os.Getppid(), syscall.SIGUSR2)
	if err == nil || !strings.Contains(err.Error(), "is not on this machine") {
		t.Errorf("the test's own parent: %v", err)
	}
}
