package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// row is where a node stands according to the shared database.
type row struct {
	name, state, holder, step, failure string
	// flowHost is the worker whose run the node's flow belongs to.
	flowHost string
}

const rowQuery = "SELECT uuid, COALESCE(name, ''), COALESCE(provision_state, ''), COALESCE(reservation, ''), " +
	"CONCAT(COALESCE(deploy_step, ''), COALESCE(JSON_VALUE(driver_internal_info, '$.deploy_step_index'), '')), COALESCE(last_error, ''), " +
	"COALESCE(JSON_VALUE(driver_internal_info, '$.ironmaster_epoch.host'), '') FROM nodes"

// rows reads where all nodes stand, by UUID.
func (s *site) rows(ctx context.Context) (map[string]row, error) {
	return s.query(ctx, rowQuery)
}

func (s *site) row(ctx context.Context, node string) (row, error) {
	found, err := s.query(ctx, rowQuery+" WHERE uuid = ?", node)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("there is no node %s", node)
	}
	return found[node], err
}

func (s *site) query(ctx context.Context, statement string, args ...any) (map[string]row, error) {
	rows, err := s.database.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, fmt.Errorf("reading the nodes: %w", err)
	}
	defer rows.Close()
	all := map[string]row{}
	for rows.Next() {
		var node string
		var r row
		if err := rows.Scan(&node, &r.name, &r.state, &r.holder, &r.step, &r.failure, &r.flowHost); err != nil {
			return nil, fmt.Errorf("reading the nodes: %w", err)
		}
		all[node] = r
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading the nodes: %w", err)
	}
	return all, nil
}

// underWay are the states in which a conductor works on a node; waiting are those in which it waits for the machine.
var (
	underWay = []string{"deploying", "cleaning", "deleting", "verifying"}
	waiting  = []string{"wait call-back", "clean wait"}
)

// moving tells that the node leaves its state by itself, or that somebody still holds it.
func (r row) moving() bool {
	return r.holder != "" || slices.Contains(underWay, r.state) || slices.Contains(waiting, r.state)
}

// at tells that the node stands where it stood in another row.
func (r row) at(other row) bool { return r.state == other.state && r.step == other.step }

// failed tells that the last flow came to nothing.
func (r row) failed() bool { return strings.HasSuffix(r.state, "failed") || r.state == "error" }

// interruptedAt tells that a conductor that has just died was in the middle of the node's flow.
func (r row) interruptedAt(name string) bool {
	return slices.Contains(underWay, r.state) && (strings.EqualFold(r.holder, name) || r.holder == "" && strings.EqualFold(r.flowHost, name))
}
