package wholeworker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/drivers/neutron/neutrontest"
)

// requestPoints are those of requests that begin no flow: what they ask for is in the worker's inbox until it is done, and nowhere else.
var requestPoints = []crashPoint{
	{"consoleBeforeSet", "a console: the request in the inbox, started or stopped, then the row", beforeEffect, false},
	{"consoleSet", "a console: the request in the inbox, started or stopped, then the row", afterEffect, false},
}

// crashRequest is a request during which the worker is killed.
type crashRequest struct {
	name, point  string
	flow         crashFlow
	method, path string
	body         func(*crashRun) map[string]any
	// check looks what came of it.
	check func(*crashRun, context.Context) error
}

var crashRequests = []crashRequest{
	{name: "a virtual interface is attached", point: "vifBound", method: http.MethodPost, path: "/vifs",
		flow: crashFlow{from: "active", on: true, own: map[string]any{"network_interface": "neutron"}, ready: (*crashRun).offerVIF},
		body: func(r *crashRun) map[string]any { return map[string]any{"id": vifOf(r.node)} },
		check: func(r *crashRun, ctx context.Context) error {
			return r.checkAttachedVIF(ctx, `{"tenant_vif_port_id": "`+vifOf(r.node)+`"}`, r.node)
		}},
	{name: "a virtual interface is detached", point: "vifUnbound", method: http.MethodDelete, path: "/vifs/VIF",
		flow:  crashFlow{from: "active", on: true, own: map[string]any{"network_interface": "neutron"}, ready: (*crashRun).attachVIF},
		check: func(r *crashRun, ctx context.Context) error { return r.checkAttachedVIF(ctx, `{}`, "") }},
	{name: "a console is about to be started", point: "consoleBeforeSet", method: http.MethodPut, path: "/states/console",
		flow: crashFlow{from: "active", own: fakeOwn}, body: consoleOn, check: (*crashRun).checkConsole},
	{name: "a console was started", point: "consoleSet", method: http.MethodPut, path: "/states/console",
		flow: crashFlow{from: "active", own: fakeOwn}, body: consoleOn, check: (*crashRun).checkConsole},
}

// fakeOwn are the fields of a node without hardware.
var fakeOwn = map[string]any{"driver": "fake-hardware", "boot_interface": "fake", "deploy_interface": "fake", "power_interface": "fake",
	"management_interface": "fake", "inspect_interface": "no-inspect", "raid_interface": "no-raid", "bios_interface": "no-bios",
	"rescue_interface": "no-rescue", "vendor_interface": "no-vendor", "console_interface": "fake"}

func consoleOn(*crashRun) map[string]any { return map[string]any{"enabled": true} }

// TestRequestsOutliveTheirWorker kills the worker in the middle of a request that begins no flow. When it is back, what was asked for is
// done all the same.
func TestRequestsOutliveTheirWorker(t *testing.T) {
	crashable(t)
	c := startCrashWorld(t, "mariadb")
	machines := c.openRoom(t, room.Config{Seed: 4, Count: len(crashRequests)}).Machines()
	for i, request := range crashRequests {
		t.Run(request.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), crashLimit)
			defer cancel()
			r := c.enter(t, crashCell{flow: request.flow, way: returns}, machines[i], fmt.Sprintf("request-%d", i))
			must(t, r.victim.arm(ctx, request.point, 1))
			asked := make(chan struct{})
			asking, stop := context.WithCancel(ctx)
			go func() {
				defer close(asked)
				r.ask(asking, request)
			}()
			defer func() { stop(); <-asked }()
			for passes := 0; passes == 0; {
				var err error
				passes, err = r.victim.passes(ctx, request.point)
				must(t, err)
				must(t, pause(ctx, crashPoll))
			}
			// Nobody asks again.
			stop()
			must(t, r.victim.service.Kill())
			must(t, r.victim.service.Start(ctx))
			eventually(t, "it is done", func() error {
				if row, err := r.row(ctx, r.node); err != nil || row.reservation != "" || row.lastError != "" {
					return fmt.Errorf("the node is in %s, %v", row, err)
				}
				if err := request.check(r, ctx); err != nil {
					return err
				}
				return r.victim.idle(ctx)
			})
		})
	}
}

// ask makes the request, and again when no worker has taken it.
func (r *crashRun) ask(ctx context.Context, request crashRequest) {
	var body any
	if request.body != nil {
		body = request.body(r)
	}
	path := "/v1/nodes/" + r.node + strings.ReplaceAll(request.path, "VIF", vifOf(r.node))
	for {
		err := r.api.once(ctx, request.method, path, body, nil)
		if err == nil || statusOf(err) == http.StatusInternalServerError || pause(ctx, retryPause) != nil {
			return
		}
	}
}

// offerVIF has Neutron keep a port for the node, which nothing is attached to.
func (r *crashRun) offerVIF(ctx context.Context) error {
	r.services.neutron.Add("ports", neutrontest.Object{"id": vifOf(r.node), "network_id": "tenant", "binding:host_id": "",
		"mac_address": "fa:16:3e:00:07:07", "binding:vnic_type": "baremetal", "fixed_ips": []any{}})
	return r.wire(ctx, "{}")
}

// checkAttachedVIF expects the row of the node's port to tell of an interface, and Neutron's port to be bound to a host.
func (r *crashRun) checkAttachedVIF(ctx context.Context, info, host string) error {
	var known string
	if err := r.db.QueryRowContext(ctx, "SELECT internal_info FROM ports WHERE node_id = (SELECT id FROM nodes WHERE uuid = '"+r.node+"')").
		Scan(&known); err != nil {
		return err
	}
	if known != info {
		return fmt.Errorf("the port knows of %s", known)
	}
	return r.checkPort(host)
}

func (r *crashRun) checkConsole(ctx context.Context) error {
	var enabled sql.NullBool
	err := r.db.QueryRowContext(ctx, "SELECT console_enabled FROM nodes WHERE uuid = '"+r.node+"'").Scan(&enabled)
	if err == nil && !enabled.Bool {
		err = errors.New("the console is not enabled")
	}
	return err
}
