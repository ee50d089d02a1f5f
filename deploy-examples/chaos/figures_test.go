package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

func TestRewritesNeedAReason(t *testing.T) {
	began := time.Now()
	write := func(told room.Told) room.ImageWrite {
		return room.ImageWrite{Begun: began.Add(time.Second), Told: told}
	}
	earlier := room.ImageWrite{Begun: began.Add(-time.Minute)}
	for name, c := range map[string]struct {
		writes        []room.ImageWrite
		looked, blind int
	}{
		"none":                         {nil, 0, 0},
		"one":                          {[]room.ImageWrite{write(room.ToldNothing)}, 0, 0},
		"one of this deployment":       {[]room.ImageWrite{earlier, write(room.ToldNothing)}, 0, 0},
		"again after it failed":        {[]room.ImageWrite{write(room.ToldFailed), write(room.ToldCompleted)}, 1, 0},
		"again after a restart":        {[]room.ImageWrite{write(room.ToldLost), write(room.ToldCompleted)}, 1, 0},
		"again unread":                 {[]room.ImageWrite{write(room.ToldNothing), write(room.ToldCompleted)}, 0, 1},
		"again while it ran":           {[]room.ImageWrite{write(room.ToldRunning), write(room.ToldCompleted)}, 0, 1},
		"again though it was complete": {[]room.ImageWrite{write(room.ToldCompleted), write(room.ToldCompleted)}, 0, 1},
	} {
		if looked, blind := rewrites(c.writes, began); looked != c.looked || blind != c.blind {
			t.Errorf("%s: %d after a look and %d blindly, want %d and %d", name, looked, blind, c.looked, c.blind)
		}
	}
}

// TestTimesUntilFlowsGoOn holds what is made of kills and of lines of the log: one of the worker's own and one of a peer,
// and a flow whose worker was killed again before it came to it.
func TestTimesUntilFlowsGoOn(t *testing.T) {
	log := filepath.Join(t.TempDir(), "one.log")
	const lines = `{"level":"info","node":"a","kind":"own","time":"2026-11-25T19:28:06.5Z","message":"Resuming a flow"}
2026-11-25 19:28:07 a line of another kind
{"level":"info","node":"c","kind":"own","time":"2026-11-25T19:28:09Z","message":"Resuming a flow"}
{"level":"info","node":"b","kind":"takeover","time":"2026-11-25T19:28:16Z","message":"Resuming a flow"}
{"level":"info","node":"b","kind":"takeover","time":"2026-11-25T19`
	if err := os.WriteFile(log, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	resumes, err := readResumes(log, "one")
	if err != nil || len(resumes) != 3 {
		t.Fatalf("read %v (%v), want three resumes", resumes, err)
	}
	at := time.Date(2026, 11, 25, 19, 28, 6, 0, time.UTC)
	f := figures{resumes: resumes, killsMade: []*kill{
		{host: "one", at: at, back: at.Add(100 * time.Millisecond), interrupted: map[string]bool{"a": true, "b": true, "c": true}},
		{host: "one", at: at.Add(2 * time.Second), back: at.Add(2 * time.Second), interrupted: map[string]bool{"c": true}},
	}}
	f.account()
	slices.Sort(f.sameFromBack)
	if f.kills != 2 || f.interrupted != 4 || f.cutShort != 1 {
		t.Errorf("%d kills, %d flows interrupted, %d of them again", f.kills, f.interrupted, f.cutShort)
	}
	if want := []time.Duration{400 * time.Millisecond, time.Second}; !slices.Equal(f.sameFromBack, want) {
		t.Errorf("own flows went on %v after the process was back, want %v", f.sameFromBack, want)
	}
	if want := []time.Duration{10 * time.Second}; !slices.Equal(f.takeover, want) {
		t.Errorf("peers went on after %v, want %v", f.takeover, want)
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i)
	}
	for _, c := range []struct {
		values  []time.Duration
		percent int
		want    time.Duration
	}{
		{nil, 99, 0}, {[]time.Duration{5}, 50, 5}, {[]time.Duration{5, 7}, 50, 5}, {[]time.Duration{5, 7}, 99, 7},
		{hundred, 50, 50}, {hundred, 99, 99}, {hundred, 100, 100},
	} {
		if got := percentile(c.values, c.percent); got != c.want {
			t.Errorf("p%d of %d values is %d, want %d", c.percent, len(c.values), got, c.want)
		}
	}
}
