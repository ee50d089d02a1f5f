package main

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

// conductorCommands are what scripts need that run a conductor. It uses fake hardware, a database file and JSON-RPC.
func conductorCommands(t *testing.T) map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"mkconf":       func(ts *testscript.TestScript, _ bool, args []string) { makeConfiguration(t, ts, args) },
		"setconf":      setConfiguration,
		"awaitlog":     awaitLog,
		"sendsignal":   sendSignal,
		"registered":   checkRegistered,
		"leavelock":    func(ts *testscript.TestScript, _ bool, args []string) { leaveLock(t, ts, args) },
		"reservations": checkReservations,
	}
}

// makeConfiguration writes an ironic.conf with ports that are free: mkconf FILE.
func makeConfiguration(t *testing.T, ts *testscript.TestScript, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: mkconf FILE")
	}
	url, work := sqltest.URL(t), ts.Getenv("WORK")
	admin, images := nobody(t), nobody(t)
	_, rpc, err := net.SplitHostPort(nobody(t))
	ts.Check(err)
	ts.Setenv("DATABASE", strings.TrimPrefix(url, "sqlite:///"))
	ts.Setenv("ADMIN", admin)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), fmt.Appendf(nil, `[DEFAULT]
host = conductor-1
my_ip = 127.0.0.1
state_path = %[1]s
rpc_transport = json-rpc
enabled_hardware_types = fake-hardware
enabled_boot_interfaces = fake
enabled_deploy_interfaces = fake
enabled_network_interfaces = noop
[json_rpc]
auth_strategy = noauth
host_ip = 127.0.0.1
port = %[2]s
[database]
connection = %[4]s
[pxe]
images_path = %[1]s/images
instance_master_path = %[1]s/masters
[deploy]
iso_master_path = %[1]s/isos
[service_catalog]
endpoint_override = http://127.0.0.1:1
[ironmaster]
admin_listen = %[5]s
image_server_listen = %[3]s
[conductor]
`, work, rpc, images, url, admin), 0o600))
}

// setConfiguration adds options to a file: setconf FILE GROUP.OPTION=VALUE... Later ones win.
func setConfiguration(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	for _, arg := range args[1:] {
		group, setting, _ := strings.Cut(arg, ".")
		text += fmt.Sprintf("[%s]\n%s\n", group, setting)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// awaitLog waits until a log has a line that matches: awaitlog FILE PATTERN.
func awaitLog(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[1])
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		text, _ := os.ReadFile(ts.MkAbs(args[0]))
		if pattern.Match(text) {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s says nothing of %s:\n%s", args[0], args[1], text)
		}
	}
}

// sendSignal sends a signal to the conductor: sendsignal HUP|USR1|USR2|TERM.
func sendSignal(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	health, err := askHealth(ctx, ts.Getenv("ADMIN"))
	ts.Check(err)
	ts.Check(syscall.Kill(health.PID, map[string]syscall.Signal{"HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1,
		"USR2": syscall.SIGUSR2, "TERM": syscall.SIGTERM}[args[0]]))
}

// checkRegistered looks whether the conductor's row says that it is online: registered true|false.
func checkRegistered(ts *testscript.TestScript, _ bool, args []string) {
	db, err := stdsql.Open("sqlite", "file:"+ts.Getenv("DATABASE"))
	ts.Check(err)
	defer db.Close()
	var online bool
	ts.Check(db.QueryRow("SELECT online FROM conductors WHERE hostname = 'conductor-1'").Scan(&online))
	if fmt.Sprint(online) != args[0] {
		ts.Fatalf("the conductor is registered: %t", online)
	}
}

// leaveLock makes a node that is reserved by a host, whose last sign of life is of some age: leavelock UUID HOST AGE. The age
// is - for a host that is not registered by this.
func leaveLock(t *testing.T, ts *testscript.TestScript, args []string) {
	uuid, host, age := args[0], args[1], args[2]
	quiet, _ := time.ParseDuration(age)
	db := sqltest.OpenAt(t, "sqlite:///"+ts.Getenv("DATABASE"), func(cfg *sql.Config) {
		cfg.Now = func() time.Time { return time.Now().Add(-quiet) }
	})
	ctx := context.Background()
	if age != "-" {
		_, err := db.Register(ctx, &store.Conductor{Hostname: host}, nil)
		ts.Check(err)
	}
	ts.Check(db.CreateNode(ctx, &store.Node{UUID: uuid, Driver: "fake-hardware", ProvisionState: store.Manageable}))
	if host != "" {
		_, err := db.Reserve(ctx, uuid, host)
		ts.Check(err)
	}
}

// checkReservations compares who holds nodes: reservations 'UUID4:HOST ...', a node by its first four characters.
func checkReservations(ts *testscript.TestScript, _ bool, args []string) {
	db, err := stdsql.Open("sqlite", "file:"+ts.Getenv("DATABASE"))
	ts.Check(err)
	defer db.Close()
	var got string
	ts.Check(db.QueryRow("SELECT group_concat(substr(uuid, 1, 4) || ':' || reservation, ' ') FROM " +
		"(SELECT * FROM nodes WHERE reservation IS NOT NULL ORDER BY uuid)").Scan(&got))
	if got != args[0] {
		ts.Fatalf("reservations are %q", got)
	}
}
