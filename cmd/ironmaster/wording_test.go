package main

import (
	"testing"
	"time"
)

func TestDurationsReadWell(t *testing.T) {
	for d, want := range map[time.Duration][2]string{
		-time.Second:                            {"0 s", "0:00"},
		41600 * time.Millisecond:                {"42 s", "0:42"},
		59*time.Minute + 59600*time.Millisecond: {"1 h 00 min", "1:00:00"},
		3*time.Minute + 5*time.Second:           {"3 min 05 s", "3:05"},
		50*time.Hour + 10*time.Minute:           {"50 h 10 min", "50:10:00"},
	} {
		if got := [2]string{span(d), clock(d)}; got != want {
			t.Errorf("%v reads %q, want %q", d, got, want)
		}
	}
}
