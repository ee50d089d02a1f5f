package wholeworker

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // PostgreSQL's driver.

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// crashWorld is what the cells of the matrix share: services, and a worker that enrols nodes and is not killed.
type crashWorld struct {
	*world
	db       *sql.DB
	img      diskImage
	network  *bootNetwork
	services crashServices
	// mold is the URL of a configuration for iDRACs.
	mold string
	// hired counts the workers, for each has an address of its own.
	hired atomic.Int32
}

// crashTimeout is heartbeat_timeout of the workers that are killed.
const crashTimeout = 10 * time.Second

func startCrashWorld(t *testing.T, database string) *crashWorld {
	t.Helper()
	var network *bootNetwork
	own := func(w *world) options {
		network = w.bootNetwork(t)
		return lab.Merge(network.options(filepath.Join(w.lab.Dir, "boot"), "127.0.0.1"), crashInterfaces())
	}
	services := startCrashServices(t)
	w := start(t, setup{database: database, own: own, extra: lab.Merge(iscsiOptions(freePort(t)), services.options(), options{
		// What is asked of a dead worker is answered with an error after this time.
		"DEFAULT":   {"rpc_response_timeout": "8"},
		"conductor": {"heartbeat_interval": "1", "heartbeat_timeout": strconv.Itoa(int(crashTimeout.Seconds()))},
	})})
	return &crashWorld{world: w, db: w.openDatabase(t), img: makeImage(t, w.wares, 4, 1), network: network, services: services,
		mold: serveMold(t)}
}

// crashInterfaces are what the workers of the matrix serve.
func crashInterfaces() options {
	enabled := map[string]string{"enabled_hardware_types": "fake-hardware,redfish,idrac",
		"enabled_boot_interfaces":   "fake,redfish-virtual-media,ipxe,idrac-redfish-virtual-media",
		"enabled_power_interfaces":  "fake,redfish,idrac-redfish",
		"enabled_deploy_interfaces": "fake,direct,iscsi,ramdisk,custom-agent,anaconda", "enabled_inspect_interfaces": inspectsHere(),
		"enabled_management_interfaces": "fake,noop,redfish,idrac-redfish",
		"enabled_raid_interfaces":       "no-raid,redfish,idrac-redfish", "enabled_bios_interfaces": "no-bios,redfish",
		"enabled_network_interfaces": "noop,neutron", "enabled_storage_interfaces": "noop,cinder"}
	if vendorsHere() {
		for name, further := range map[string]string{"hardware_types": "ilo5", "boot_interfaces": "ilo-virtual-media", "power_interfaces": "ilo",
			"management_interfaces": "ilo5", "bios_interfaces": "ilo"} {
			enabled["enabled_"+name] += "," + further
		}
	}
	if firmwareHere() {
		enabled["enabled_firmware_interfaces"] = "no-firmware,redfish"
	}
	return options{"DEFAULT": enabled, "redfish": {"raid_config_status_interval": "1", "firmware_update_status_interval": "1"},
		"ilo": {"power_wait": "1"}, "molds": {"storage": "http"}}
}

// inspectsHere are the inspect interfaces that the release has.
func inspectsHere() string {
	if agentInspectsHere() {
		return "redfish,agent,no-inspect"
	}
	return "redfish,no-inspect"
}

// openDatabase connects to the lab's database as ironic-api does.
func (w *world) openDatabase(t *testing.T) *sql.DB {
	t.Helper()
	if w.lab.Database.Kind == "mariadb" {
		return w.openMariaDB(t)
	}
	db, err := sql.Open("pgx", strings.Replace(w.lab.Database.URL, "postgresql+psycopg2", "postgres", 1)+"?sslmode=disable")
	must(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

// crashRow is what is looked at of a node's row.
type crashRow struct{ state, target, reservation, lastError, deployStep, cleanStep string }

func (r crashRow) String() string {
	return fmt.Sprintf("%q (target %q, reserved by %q): %s", r.state, r.target, r.reservation, r.lastError)
}

func (c *crashWorld) row(ctx context.Context, node string) (crashRow, error) {
	var r crashRow
	var columns [6]sql.NullString
	err := c.db.QueryRowContext(ctx, "SELECT provision_state, target_provision_state, reservation, last_error, deploy_step, clean_step "+
		"FROM nodes WHERE uuid = '"+node+"'").
		Scan(&columns[0], &columns[1], &columns[2], &columns[3], &columns[4], &columns[5])
	for i, place := range []*string{&r.state, &r.target, &r.reservation, &r.lastError, &r.deployStep, &r.cleanStep} {
		*place = columns[i].String
	}
	return r, err
}

// crasher is a worker that is killed, or its peer.
type crasher struct {
	*crashWorld
	host      string
	admin     string
	failpoint string // the URL of its failpoints
	// dir and command are what its service runs.
	dir     string
	command lab.Command
	service *lab.Service
}

// crasher starts the worker of a host. It ends with ctx, if not before.
func (c *crashWorld) crasher(ctx context.Context, host, group string) (*crasher, error) {
	ports, err := c.lab.ReservePorts(2)
	if err != nil {
		return nil, err
	}
	address := func(i int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[i])) }
	w := &crasher{crashWorld: c, host: host, admin: "http://" + address(0), failpoint: "http://" + address(1)}
	own := filepath.Join(c.lab.Dir, "on-"+host)
	for _, dir := range []string{"images", "state"} {
		if err := os.MkdirAll(filepath.Join(own, dir), 0o755); err != nil {
			return nil, err
		}
	}
	conf := filepath.Join(own, "ironic.conf")
	// Firmware knows one port of TFTP servers, so they differ in their addresses.
	number := c.hired.Add(1)
	network := c.network.options(own, net.IPv4(127, 200, byte(number>>8), byte(number)).String())
	err = c.lab.WriteConf(conf, host, lab.Merge(network, crashInterfaces(), options{
		"DEFAULT":    {"state_path": filepath.Join(own, "state")},
		"ironmaster": {"admin_listen": address(0), "state_file": filepath.Join(own, "state", "ironmaster.db")},
		"conductor":  {"conductor_group": group},
		"deploy":     {"iso_master_path": filepath.Join(own, "images", "iso")},
		"agent":      {"certificates_path": filepath.Join(own, "certificates")},
		"pxe":        {"images_path": filepath.Join(own, "images"), "instance_master_path": filepath.Join(own, "images", "master")},
	}))
	if err != nil {
		return nil, err
	}
	path, err := buildCrashable()
	if err != nil {
		return nil, err
	}
	w.dir, w.command = own, lab.Command{Name: host, Path: path, Args: []string{"conductor", "--config-file", conf},
		Env: append(os.Environ(), "GOFAIL_HTTP="+address(1)),
		Ready: func(ctx context.Context) error {
			_, err := ask(ctx, http.MethodGet, w.admin+"/healthz", "")
			return err
		}}
	w.service, err = lab.StartService(ctx, own, w.command)
	return w, err
}

// startArmed starts the worker, which must not be running, with a point armed from its first instant. It may stand still
// there before it is ready.
func (w *crasher) startArmed(ctx context.Context, point string) (*lab.Service, error) {
	armed := w.command
	armed.Env = append(slices.Clone(armed.Env), "GOFAIL_FAILPOINTS="+point+"="+standStill)
	armed.Ready = nil
	return lab.StartService(ctx, w.dir, armed)
}

// standStill is what gofail does at a point that is armed: one goroutine goes no further. Whoever sees it does the killing;
// gofail's own way to end a process is a panic, which the worker contains.
const standStill = `sleep("1h")`

// arm makes the worker stand still when it comes by a point for the n-th time.
func (w *crasher) arm(ctx context.Context, point string, n int) error {
	term := standStill
	if n > 1 {
		term = fmt.Sprintf("%d*off->%s", n-1, term)
	}
	_, err := ask(ctx, http.MethodPut, w.failpoint+"/"+point, term)
	return err
}

// watch makes the worker count how often it comes by a point.
func (w *crasher) watch(ctx context.Context, point string) error {
	_, err := ask(ctx, http.MethodPut, w.failpoint+"/"+point, "off")
	return err
}

// passes is how often the worker came by a point that is armed or watched.
func (w *crasher) passes(ctx context.Context, point string) (int, error) {
	text, err := ask(ctx, http.MethodGet, w.failpoint+"/"+point+"/count", "")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}

// idle returns nil when the worker holds no lock and owes no event.
func (w *crasher) idle(ctx context.Context) error {
	locks, err := ask(ctx, http.MethodGet, w.admin+"/locks", "")
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(string(locks)); text != "[]" {
		return fmt.Errorf("%s holds the locks %s", w.host, text)
	}
	metrics, err := ask(ctx, http.MethodGet, w.admin+"/metrics", "")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(metrics)) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "ironmaster_outbox_events") && fields[len(fields)-1] != "0" {
			return fmt.Errorf("%s has not sent its events: %s", w.host, strings.TrimSpace(line))
		}
	}
	return nil
}

// story is the end of what the worker logged in all its lives.
func (w *crasher) story() string {
	text, err := os.ReadFile(w.service.LogFile())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-60):], "\n")
}

// ask makes one request and returns the body of an answer that is a success.
func ask(ctx context.Context, method, address, body string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode >= http.StatusMultipleChoices {
		err = fmt.Errorf("%s %s: %s: %s", method, address, response.Status, text)
	}
	return text, err
}

// givePower gives a machine power, as somebody did who is not part of the test.
func givePower(ctx context.Context, m room.Info) error { return resetMachine(ctx, m, "On") }

// resetMachine has a machine's BMC do one of the resets of Redfish.
func resetMachine(ctx context.Context, m room.Info, kind string) error {
	client, err := trusting(m.CAFile)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.Address+m.SystemID+"/Actions/ComputerSystem.Reset",
		strings.NewReader(`{"ResetType": "`+kind+`"}`))
	if err != nil {
		return err
	}
	request.SetBasicAuth(m.Username, m.Password)
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s of %s: %s", kind, m.Name, response.Status)
	}
	return nil
}
