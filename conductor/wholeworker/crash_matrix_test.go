package wholeworker

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

var wholeMatrix = flag.Bool("crash-matrix", false, "run every cell of the crash matrix, which takes about an hour; without it a part of them")

// crashDisk is the size of a machine's disk. A config drive's partition has 64 MiB.
const crashDisk = 80 * mebibyte

// crashSlots is how many cells run at once.
const crashSlots = 8

// TestCrashMatrix kills the worker at every point of every flow, and looks whether the flow goes on: when the same worker
// comes back, when it does and is killed again, when a peer takes over, and when both are there. With -crash-matrix it does so at every pass of every flow on
// both databases; without, once at each point, and a few times with a peer.
func TestCrashMatrix(t *testing.T) {
	databases := []string{"mariadb"}
	if *wholeMatrix {
		databases = []string{"mariadb", "postgresql"}
	}
	for _, database := range databases {
		t.Run(database, func(t *testing.T) { crashMatrix(t, database) })
	}
}

func crashMatrix(t *testing.T, database string) {
	crashable(t)
	c := startCrashWorld(t, database)
	counts := c.census(t)
	cells := fewCells(counts)
	if *wholeMatrix {
		cells = allCells(counts)
	}
	machines := c.openRoom(t, c.network.plug(room.Config{Seed: 2, Count: len(cells), DiskSize: crashDisk,
		BMCOf: facesOf(cells)})).Machines()
	report := crashReport{began: time.Now()}
	slots := make(chan struct{}, crashSlots)
	t.Run("cell", func(t *testing.T) {
		for i, cell := range cells {
			t.Run(cell.String(), func(t *testing.T) {
				t.Parallel()
				slots <- struct{}{}
				defer func() { <-slots }()
				r := c.enter(t, cell, machines[i], fmt.Sprintf("cell-%04d", i))
				hit, err := r.run(t.Context())
				report.add(cell, hit, err)
				if err != nil && (hit || !cell.point.often) {
					t.Errorf("%s: %v", r.victim.host, err)
				}
			})
		}
	})
	t.Log(report.String())
}

// census counts, flow by flow, how often a worker that nobody kills comes by each point.
func (c *crashWorld) census(t *testing.T) map[string]map[string]int {
	t.Helper()
	var own []crashCell
	for _, flow := range crashFlows {
		own = append(own, crashCell{flow: flow, way: returns})
	}
	// Two rooms cannot have their iSCSI targets at one address.
	machines := c.openRoom(t, c.network.plug(room.Config{Seed: 1, Count: len(crashFlows), Host: "127.0.0.2", DiskSize: crashDisk,
		BMCOf: facesOf(own)})).Machines()
	counts := map[string]map[string]int{}
	var mu sync.Mutex
	t.Run("census", func(t *testing.T) {
		for i, cell := range own {
			flow := cell.flow
			t.Run(flow.name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), crashLimit)
				defer cancel()
				r := c.enter(t, cell, machines[i], "census-"+flow.name)
				for _, p := range crashPoints {
					must(t, r.victim.watch(ctx, p.name))
				}
				must(t, r.order(ctx))
				must(t, r.awaitEnd(ctx, nil))
				must(t, r.judge(ctx))
				mu.Lock()
				defer mu.Unlock()
				counts[flow.name] = map[string]int{}
				for _, p := range crashPoints {
					n, err := r.victim.passes(ctx, p.name)
					must(t, err)
					counts[flow.name][p.name] = n
				}
			})
		}
	})
	if t.Failed() {
		t.FailNow()
	}
	for _, p := range crashPoints {
		// Some flows may have been asked for alone.
		if len(counts) == len(crashFlows) && !absentHere(p.name) &&
			!slices.ContainsFunc(crashFlows, func(f crashFlow) bool { return counts[f.name][p.name] > 0 }) {
			t.Errorf("no flow comes by %s", p.name)
		}
	}
	return counts
}

// facesOf are the vendors of the cells' BMCs, by machine.
func facesOf(cells []crashCell) map[string]string {
	faces := map[string]string{}
	for i, cell := range cells {
		faces[fmt.Sprintf("machine-%04d", i)] = cell.flow.face
	}
	return faces
}

// passesToTry are those of a point that comes by so often.
func passesToTry(p crashPoint, count int) []int {
	var passes []int
	for n := range count {
		passes = append(passes, n+1)
	}
	if p.often && count > 2 {
		return []int{1, (count + 1) / 2}
	}
	return passes
}

func allCells(counts map[string]map[string]int) []crashCell {
	var cells []crashCell
	for _, f := range crashFlows {
		for _, p := range crashPoints {
			for _, pass := range passesToTry(p, counts[f.name][p.name]) {
				for _, w := range []way{returns, again, takeover, race} {
					cells = append(cells, crashCell{f, p, pass, w})
				}
			}
		}
	}
	return cells
}

// withPeer are the points that the short matrix tries with a peer too.
var withPeer = []string{"inboxAccepted", "lockReserved", "deployPrepared", "isoPromised", "powerAsked", "writeSent", "eventSaved", "iscsiPouring",
	"iscsiPoured", "bootConfigWritten", "dhcpUpdated"}

// killedTwice are those that the short matrix tries with a second kill.
var killedTwice = []string{"lockReserved", "stepBeforeBegin", "powerAsked", "writeSent", "eventSaved"}

// fewCells is each point once, in the first flow that comes by, and a few of them with a peer or a second kill.
func fewCells(counts map[string]map[string]int) []crashCell {
	var cells []crashCell
	for i, p := range crashPoints {
		for _, f := range crashFlows {
			if counts[f.name][p.name] == 0 {
				continue
			}
			// Here the first pass, there the last of those that are sure.
			passes := passesToTry(p, counts[f.name][p.name])
			pass := passes[0]
			if i%2 == 0 && !p.often {
				pass = passes[len(passes)-1]
			}
			cells = append(cells, crashCell{f, p, pass, returns})
			if at := slices.Index(withPeer, p.name); at >= 0 {
				cells = append(cells, crashCell{f, p, pass, []way{takeover, race}[at%2]})
			}
			if slices.Contains(killedTwice, p.name) {
				cells = append(cells, crashCell{f, p, pass, again})
			}
			break
		}
	}
	return cells
}

// crashReport is what came of the cells.
type crashReport struct {
	mu     sync.Mutex
	began  time.Time
	good   map[way]int
	passed []string
	failed []string
}

func (r *crashReport) add(cell crashCell, hit bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.good == nil {
		r.good = map[way]int{}
	}
	switch {
	case err == nil:
		r.good[cell.way]++
	case !hit && cell.point.often:
		r.passed = append(r.passed, cell.String())
	default:
		r.failed = append(r.failed, fmt.Sprintf("%s (%s, %s): %v", cell, cell.point.transition,
			cell.point.window, err))
	}
}

func (r *crashReport) String() string {
	slices.Sort(r.failed)
	var text strings.Builder
	good := r.good[returns] + r.good[again] + r.good[takeover] + r.good[race]
	fmt.Fprintf(&text, "%d of %d cells passed in %s: %d where the worker returns, %d where it is killed again, "+
		"%d where a peer takes over, %d where both race", good, good+len(r.failed), time.Since(r.began).Round(time.Second),
		r.good[returns], r.good[again], r.good[takeover], r.good[race])
	if len(r.passed) > 0 {
		fmt.Fprintf(&text, "; in %d the flow came by less often than counted", len(r.passed))
	}
	for _, line := range r.failed {
		text.WriteString("\n  " + line)
	}
	return text.String()
}
