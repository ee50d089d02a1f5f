package wholeworker

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// allocationPoints are those of allocations, by which no flow of the matrix comes: no node is given when one begins.
var allocationPoints = []crashPoint{
	{"allocationCreated", "an allocation: its row, then a node is looked for", beforeEffect, false},
	{"allocationNodeHeld", "an allocation gets its node: the node's lock, then both rows at once", beforeJournal, false},
	{"allocationGiven", "an allocation gets its node: the node's lock, then both rows at once", afterEffect, false},
	{"allocationBeforeFailed", "an allocation gets no node: the reason goes into its row", beforeJournal, false},
}

// allocationRow is what is looked at of an allocation and of the node that it asks for.
type allocationRow struct{ state, lastError, instance, reservation string }

func (r allocationRow) String() string {
	return fmt.Sprintf("the allocation is %q (%s), the node has the instance %q and is reserved by %q", r.state, r.lastError, r.instance,
		r.reservation)
}

// TestAllocationsOutliveTheirWorker kills the worker at every point of an allocation. When it comes back, or a peer takes over, the
// allocation has its node all the same, or the reason why there is none.
func TestAllocationsOutliveTheirWorker(t *testing.T) {
	crashable(t)
	c := startCrashWorld(t, "mariadb")
	var cells []crashCell
	for _, p := range allocationPoints {
		cells = append(cells, crashCell{point: p, way: returns}, crashCell{point: p, way: takeover})
	}
	machines := c.openRoom(t, room.Config{Seed: 3, Count: len(cells)}).Machines()
	for i, cell := range cells {
		t.Run(cell.point.name+"/"+string(cell.way), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), crashLimit)
			defer cancel()
			c.killAllocating(ctx, t, cell, machines[i], fmt.Sprintf("allocating-%d", i))
		})
	}
}

func (c *crashWorld) killAllocating(ctx context.Context, t *testing.T, cell crashCell, m *room.Machine, class string) {
	t.Helper()
	victim := c.hire(t, class+"-a", class)
	node, err := c.api.enrol(ctx, m.Info(), c.ramdisk, nil)
	must(t, err)
	if cell.point.name != "allocationBeforeFailed" {
		_, err = c.db.ExecContext(ctx, "UPDATE nodes SET provision_state = 'available', power_state = 'power off', resource_class = '"+
			class+"' WHERE uuid = '"+node+"'")
		must(t, err)
	}
	must(t, victim.arm(ctx, cell.point.name, 1))
	allocation, err := c.allocateAt(ctx, victim, cell.point.name, class, node)
	must(t, err)
	must(t, victim.service.Kill())
	if cell.way == returns {
		must(t, victim.service.Start(ctx))
	}
	var row allocationRow
	for row.state != "active" && row.state != "error" || row.reservation != "" {
		if row, err = c.allocation(ctx, allocation, node); err != nil {
			t.Fatalf("%v: %s", err, row)
		}
		_ = pause(ctx, crashPoll)
	}
	if cell.way == takeover {
		must(t, victim.service.Start(ctx))
	}
	failed := cell.point.name == "allocationBeforeFailed"
	if failed != (row.state == "error") || failed != (row.lastError != "") || !failed && row.instance != allocation {
		t.Error(row)
	}
	for err = victim.idle(ctx); err != nil && ctx.Err() == nil; err = victim.idle(ctx) {
		_ = pause(ctx, crashPoll)
	}
	must(t, err)
}

// allocateAt asks for allocations until the worker stands at the point with one. Ironic-api hands them to any worker, also to those
// that are dead and have not been missed yet.
func (c *crashWorld) allocateAt(ctx context.Context, w *crasher, point, class, node string) (string, error) {
	for ctx.Err() == nil {
		id := uuid.NewString()
		asked := make(chan error, 1)
		go func() {
			asked <- c.api.once(ctx, http.MethodPost, "/v1/allocations", map[string]any{"uuid": id, "resource_class": class}, nil)
		}()
		taken, err := c.watchAllocation(ctx, w, point, id, node, asked)
		if err != nil || taken {
			return id, err
		}
	}
	return "", ctx.Err()
}

// watchAllocation tells whether the worker came by the point with an allocation. One that another worker has seen to is deleted.
func (c *crashWorld) watchAllocation(ctx context.Context, w *crasher, point, id, node string, asked <-chan error) (bool, error) {
	answered := false
	for {
		if passes, err := w.passes(ctx, point); err != nil || passes > 0 {
			return true, err
		}
		row, err := c.allocation(ctx, id, node)
		if err != nil {
			return false, err
		}
		if answered && (row.state == "active" || row.state == "error") && row.reservation == "" {
			return false, c.giveUp(ctx, id)
		}
		select {
		case err := <-asked:
			if err != nil {
				return false, nil
			}
			answered = true
		default:
		}
		if err := pause(ctx, crashPoll); err != nil {
			return false, err
		}
	}
}

// giveUp deletes an allocation, whichever workers ironic-api asks meanwhile that are dead.
func (c *crashWorld) giveUp(ctx context.Context, id string) error {
	for {
		err := c.api.do(ctx, http.MethodDelete, "/v1/allocations/"+id, nil, nil)
		if err == nil || statusOf(err) == http.StatusNotFound {
			return nil
		}
		if statusOf(err) != http.StatusInternalServerError || ctx.Err() != nil {
			return err
		}
	}
}

func (c *crashWorld) allocation(ctx context.Context, id, node string) (allocationRow, error) {
	var columns [4]sql.NullString
	err := c.db.QueryRowContext(ctx, "SELECT a.state, a.last_error, n.instance_uuid, n.reservation FROM nodes n "+
		"LEFT JOIN allocations a ON a.uuid = '"+id+"' WHERE n.uuid = '"+node+"'").Scan(&columns[0], &columns[1], &columns[2], &columns[3])
	return allocationRow{columns[0].String, columns[1].String, columns[2].String, columns[3].String}, err
}
