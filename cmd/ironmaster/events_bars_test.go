package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/ironmaster/ironmaster/conductor"
)

func TestBarsFitTheTerminal(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	base := barRow{title: "machine-0001", began: now.Add(-time.Minute), stepped: now.Add(-42 * time.Second), told: now}
	row := func(p conductor.ProgressPayload) *barRow {
		r := base
		r.progress = p
		return &r
	}
	waiting := writing()
	waiting.Percent, waiting.BytesDone, waiting.Step, waiting.Waiting = nil, nil, ref("deploy.deploy"), true
	waiting.Reason = ref("waiting for the agent to boot from the virtual media of its BMC")
	unknown := writing()
	unknown.Percent, unknown.BytesTotal, unknown.ETA = nil, nil, nil
	beginning := conductor.ProgressPayload{Flow: "clean"}
	stale := row(writing())
	stale.told = now.Add(-time.Minute)
	for _, c := range []struct {
		row   *barRow
		width int
		want  string
	}{
		{row(writing()), 80, "machine-0001  deploy  2/5 write_image  [==>----]  42.5 %   100 MiB/s  1:05 left"},
		{row(writing()), 120, "machine-0001  deploy  2/5 write_image  " +
			"[=============>------------------]  42.5 %   100 MiB/s  1:05 left"},
		{row(writing()), 140, "machine-0001  deploy  2/5 write_image  " +
			"[=============>------------------]  42.5 %   100 MiB/s  1:05 left   writing the image"},
		{row(waiting), 80, "machine-0001  deploy  2/5 deploy       42 s    waiting for the agent to boot fr~"},
		{row(unknown), 80, "machine-0001  deploy  2/5 write_image  425 MiB, 100 MiB/s"},
		{row(beginning), 80, "machine-0001  clean                    42 s"},
		{stale, 80, "machine-0001  deploy  2/5 write_image   42.5 %  no news for 1 min 00 s"},
	} {
		if got := c.row.line(barLayout{width: c.width, name: 12, step: 15}, now); got != c.want {
			t.Errorf("in %d columns:\n%q, want\n%q", c.width, got, c.want)
		}
	}
	for width := 1; width < 250; width++ {
		long := row(writing())
		long.title = "a-machine-with-a-name-that-is-longer-than-any-column-would-be"
		if got := long.line(barLayout{width: width, name: 60, step: 60}, now); utf8.RuneCountInString(got) > width {
			t.Fatalf("%q is wider than %d", got, width)
		}
	}
}

func TestFinishedNodesStayAsALine(t *testing.T) {
	var screen bytes.Buffer
	var bodies [][]byte
	say := func(status string, p conductor.ProgressPayload) {
		bodies = append(bodies, note(t, progressPrefix+status, p))
	}
	var nodes []conductor.ProgressPayload
	for i := range 20 {
		p := writing()
		p.NodeUUID, p.NodeName = fmt.Sprintf("1be26c0b-03f2-4d2e-ae87-c02d7f33c7%02d", i), ref(fmt.Sprintf("machine-%02d", i))
		nodes = append(nodes, p)
	}
	for _, status := range []string{"start", "update", "update"} {
		for _, p := range nodes {
			say(status, p)
		}
	}
	failed := nodes[7]
	failed.Reason = ref("the disk is too small")
	say("error", failed)
	for _, p := range slices.Concat(nodes[:7], nodes[8:19]) {
		say("end", p)
	}
	late := nodes[7]
	late.Flow = ""
	say("update", late)
	ctx, cancel := context.WithCancel(t.Context())
	if err := followEvents(ctx, source{&scripted{bodies: bodies, done: cancel}, "broker"}, nil, newBarSink(&screen)); err != nil {
		t.Fatal(err)
	}
	for i := range 19 {
		want := fmt.Sprintf("machine-%02d  deploy  done in 0 s\n", i)
		if i == 7 {
			want = "machine-07  deploy  FAILED: the disk is too small (after 0 s)\n"
		}
		if strings.Count(screen.String(), want) != 1 {
			t.Errorf("%q does not stand on the screen once:\n%s", want, screen.String())
		}
	}
	const clear = "\x1b[J"
	last := screen.String()[strings.LastIndex(screen.String(), clear):]
	if !strings.Contains(last, "machine-19  deploy  2/5 write_image") || strings.Contains(last, "machine-07") {
		t.Errorf("the last picture is %q, want only the node that is not finished", last)
	}
}

func TestBarsAreAsLongAsTheyShouldBe(t *testing.T) {
	for percent, want := range map[float64]string{
		-5: "[>---------] ", 0: "[>---------] ", 50: "[=====>----] ", 99.9: "[=========>] ", 100: "[==========] ", 180: "[==========] ",
	} {
		if got := drawBar(percent, 13); got != want {
			t.Errorf("%v %% is %q, want %q", percent, got, want)
		}
	}
}
