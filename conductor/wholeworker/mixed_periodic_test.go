package wholeworker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// chore is a node that some periodic work is for, when nobody holds it.
type chore struct {
	name string
	// row is what the node is before, done what it is after the work. Columns that are not named are those of idle.
	row, done map[string]any
	// orphan is a node that a conductor holds which is gone, and which is not one that nobody holds.
	orphan bool
	// machine wants a BMC that tells a power state of its own.
	machine bool
	// adopts tells that the work makes the worker the node's own, history that it is told in node_history.
	adopts, history bool
}

// idle is a node that nobody has a reason to touch.
var idle = map[string]any{"provision_state": "available", "target_provision_state": nil, "power_state": "power off",
	"target_power_state": nil, "maintenance": 0, "fault": nil, "maintenance_reason": nil, "last_error": nil,
	"provision_updated_at": nil, "conductor_affinity": nil, "reservation": nil}

var chores = []chore{
	{name: "active and looked after by nobody", adopts: true, row: map[string]any{"provision_state": "active"}},
	{name: "an agent silent in a deployment", history: true,
		row:  map[string]any{"provision_state": "wait call-back", "target_provision_state": "active", "provision_updated_at": longAgo},
		done: map[string]any{"provision_state": "deploy failed"}},
	{name: "an agent silent in a cleaning", history: true,
		row:  map[string]any{"provision_state": "clean wait", "target_provision_state": "available", "provision_updated_at": longAgo},
		done: map[string]any{"provision_state": "clean failed"}},
	{name: "a deployment of a conductor that is gone", orphan: true, history: true,
		row:  map[string]any{"provision_state": "deploying", "target_provision_state": "active"},
		done: map[string]any{"provision_state": "deploy failed", "reservation": nil}},
	{name: "a cleaning of a conductor that is gone", orphan: true, history: true,
		row:  map[string]any{"provision_state": "cleaning", "target_provision_state": "available"},
		done: map[string]any{"provision_state": "clean failed", "reservation": nil}},
	{name: "a power change of a conductor that is gone", orphan: true,
		row:  map[string]any{"target_power_state": "power on"},
		done: map[string]any{"target_power_state": nil, "reservation": nil}},
	{name: "another power state than the machine's", machine: true, row: map[string]any{"power_state": "power on"},
		done: map[string]any{"power_state": "power off"}},
	{name: "a BMC that answers again", row: map[string]any{"maintenance": 1, "fault": "power failure"},
		done: map[string]any{"maintenance": 0, "fault": nil}},
}

// lostHost is the host of a conductor that was there once.
const lostHost = "long-gone"

// periodicWork gives each worker something to do of each kind, twice, and beside it the same on nodes that are the worker's
// as well but held by the other one. Each does its own and leaves what is held as it is, to the last column.
func (m mixed) periodicWork(t *testing.T) {
	m.exec(t, "INSERT INTO conductors (created_at, updated_at, hostname, drivers, online, conductor_group, version) "+
		"VALUES (?, ?, ?, '[]', 0, '', '1.3')", longAgo, longAgo, lostHost)
	machines := m.openRoom(t, room.Config{Seed: 2, Count: 4}).Machines()
	type job struct {
		chore
		node         string
		owner, other *worker
		before       map[string]string
	}
	var free, held []job
	for _, owner := range []*worker{m.p, m.i} {
		other := m.p
		if owner == m.p {
			other = m.i
		}
		for _, c := range chores {
			for _, jobs := range []*[]job{&free, &held} {
				j := job{chore: c, node: owner.uuidAmong(t, other), owner: owner, other: other}
				if !c.machine {
					must(t, m.api.do(t.Context(), http.MethodPost, "/v1/nodes", map[string]any{"uuid": j.node,
						"driver": "fake-hardware", "network_interface": "noop"}, nil))
				} else {
					_, err := m.api.enrol(t.Context(), machines[0].Info(), m.ramdisk, map[string]any{"uuid": j.node})
					must(t, err)
					machines = machines[1:]
				}
				*jobs = append(*jobs, j)
			}
		}
	}
	for n, j := range held {
		m.plant(t, j.node, j.row, j.other.host)
		var err error
		held[n].before, err = m.row(t.Context(), j.node)
		must(t, err)
	}
	// What begins after the first round has ended sees all that was there when the first began.
	for range 2 {
		m.exec(t, "DELETE FROM node_history")
		for _, j := range free {
			holder := ""
			if j.orphan {
				holder = lostHost
			}
			m.plant(t, j.node, j.row, holder)
		}
		for _, j := range free {
			eventually(t, fmt.Sprintf("%s has seen to %s (%s)", j.owner.host, j.name, j.node), func() error {
				return m.isDone(t.Context(), j.chore, j.node, j.owner)
			})
		}
	}
	for _, j := range held {
		after, err := m.row(t.Context(), j.node)
		must(t, err)
		for _, column := range slices.Sorted(maps.Keys(after)) {
			if after[column] != j.before[column] {
				t.Errorf("%s (%s), held by %s: %s was %q and is %q", j.name, j.node, j.other.host, column, j.before[column], after[column])
			}
		}
	}
	for _, j := range free {
		if strings.Contains(j.other.log(t), j.node) {
			t.Errorf("the log of %s tells of %s (%s), which is %s's", j.other.host, j.node, j.name, j.owner.host)
		}
	}
	for _, j := range slices.Concat(free, held) {
		m.plant(t, j.node, nil, "")
	}
	m.exec(t, "DELETE FROM conductors WHERE hostname = ?", lostHost)
	m.forget(t)
}

// plant makes a node's row what a chore wants it to be.
func (m mixed) plant(t *testing.T, node string, row map[string]any, holder string) {
	t.Helper()
	full := maps.Clone(idle)
	maps.Copy(full, row)
	if holder != "" {
		full["reservation"] = holder
	}
	var assignments []string
	var args []any
	for _, column := range slices.Sorted(maps.Keys(full)) {
		assignments = append(assignments, column+" = ?")
		args = append(args, full[column])
	}
	m.exec(t, "UPDATE nodes SET "+strings.Join(assignments, ", ")+" WHERE uuid = ?", append(args, node)...)
}

func (m mixed) isDone(ctx context.Context, c chore, node string, owner *worker) error {
	row, err := m.row(ctx, node)
	if err != nil {
		return err
	}
	for column, want := range c.done {
		if want == nil {
			want = "NULL"
		}
		if got := row[column]; got != fmt.Sprint(want) {
			return fmt.Errorf("%s is %s, not %v", column, got, want)
		}
	}
	affinity, wrote, err := m.keeper(ctx, node)
	switch {
	case err != nil:
		return err
	case c.adopts && affinity != owner.host:
		return fmt.Errorf("its conductor is %q", affinity)
	case c.history && !slices.Equal(wrote, []string{owner.host}):
		return fmt.Errorf("its history is by %q", wrote)
	case row["reservation"] != "NULL":
		return errors.New("it is held")
	}
	return nil
}
