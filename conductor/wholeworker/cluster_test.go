package wholeworker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/store/ring"
)

// kind says which program plays the conductor of a host.
type kind string

const (
	python     kind = "python"
	ironmaster kind = "ironmaster"
)

// cluster is a world with any number of conductors of either kind on one database and one broker.
type cluster struct {
	*world
	db  *sql.DB
	web *webServer
	img diskImage
}

// worker is the conductor of one host. Both kinds read the same ironic.conf and keep their files in the same folders, as
// they do on a machine that is switched over.
type worker struct {
	*cluster
	host, group string
	conf        string
	admin       string
	kind        kind
	service     *lab.Service
	// logged is how long the log was when the conductor was started.
	logged int
}

// clusterOptions make every kind of periodic work come round each second or two, and a conductor that is gone count as
// dead after some seconds.
func clusterOptions() options {
	return options{
		"DEFAULT": {"enabled_hardware_types": "fake-hardware,redfish",
			// How long Python's conductor bears with an image that stands at a gate.
			"webserver_connection_timeout": "600",
			// How long ironic-api waits for a conductor that is dead and not known to be.
			"rpc_response_timeout": "20",
			// One that drains serves waiting nodes for as long.
			"drain_shutdown_timeout": "60"},
		"conductor": {
			"heartbeat_interval": "1", "heartbeat_timeout": strconv.Itoa(deadAfter),
			"sync_power_state_interval": "1", "power_failure_recovery_interval": "1", "sync_local_state_interval": "1",
			"check_provision_state_interval": "1", "periodic_max_workers": "100",
			// What power sync does is seen in the database then, and machines are switched by nobody but their flows.
			"force_power_state_during_sync": "false",
		},
	}
}

// deadAfter is heartbeat_timeout in seconds. It leaves room for a conductor that a busy machine keeps from renewing.
const deadAfter = 15

func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{world: start(t, setup{database: "mariadb", bare: true, extra: clusterOptions()})}
	c.db = c.openMariaDB(t)
	c.web = startWebServer(t)
	c.img = makeImage(t, c.wares, 12, 1)
	return c
}

// host prepares a host that conductors can run on.
func (c *cluster) host(t *testing.T, name, group string, more options) *worker {
	t.Helper()
	w := &worker{cluster: c, host: name, group: group, conf: filepath.Join(c.lab.Dir, name+".conf")}
	ports, err := c.lab.ReservePorts(1)
	must(t, err)
	admin := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	w.admin = "http://" + admin
	own := filepath.Join(c.lab.Dir, "on-"+name)
	published := filepath.Join(own, "httpboot")
	for _, dir := range []string{published, filepath.Join(own, "images"), filepath.Join(own, "state")} {
		must(t, os.MkdirAll(dir, 0o755))
	}
	// Python's conductor publishes files, and leaves it to a web server to serve them.
	web := httptest.NewServer(http.FileServer(http.Dir(published)))
	t.Cleanup(web.Close)
	must(t, c.lab.WriteConf(w.conf, name, lab.Merge(options{
		"DEFAULT":    {"state_path": filepath.Join(own, "state")},
		"ironmaster": {"admin_listen": admin},
		"conductor":  {"conductor_group": group},
		"deploy":     {"http_url": web.URL, "http_root": published, "iso_master_path": filepath.Join(own, "images", "iso")},
		"redfish":    {"use_swift": "false"},
		"agent":      {"certificates_path": filepath.Join(own, "certificates")},
		"pxe":        {"images_path": filepath.Join(own, "images"), "instance_master_path": filepath.Join(own, "images", "master")},
	}, more)))
	return w
}

// run starts a conductor on the host and returns once ironic-api counts it among the live ones.
func (w *worker) run(t *testing.T, k kind) {
	t.Helper()
	w.kind = k
	path, words := "/usr/bin/ironic-conductor", []string(nil)
	if k == ironmaster {
		path, words = program, []string{"conductor"}
	}
	if w.service != nil {
		w.logged = len(w.log(t))
	}
	var err error
	w.service, err = w.lab.StartConductor(w.host, w.conf, path, words...)
	must(t, err)
}

// stop ends the conductor in order, with nothing under way: ours drains. Python's frees at once what it works on, so it
// leaves the ring before.
func (w *worker) stop(t *testing.T) {
	t.Helper()
	if w.kind == python {
		w.leaveRing(t)
	} else {
		must(t, syscall.Kill(w.service.PID(), syscall.SIGUSR2))
		must(t, w.service.Wait())
	}
	must(t, w.service.Stop())
	if w.kind == ironmaster {
		w.checkLog(t, w.log(t)[w.logged:])
	}
}

// leaveRing does what docs/migration.md says before a conductor of Python is stopped: it takes the host out of the ring,
// while its conductor works on and stays alive for the others, and waits until nothing of it is under way.
func (w *worker) leaveRing(t *testing.T) {
	t.Helper()
	w.exec(t, "DELETE FROM conductor_hardware_interfaces WHERE conductor_id = (SELECT id FROM conductors WHERE hostname = ?)", w.host)
	w.awaitIdle(t)
}

// awaitIdle waits until the host holds no node and is not about to take one again: Python's conductors let go of a node in
// the middle of its flow. ironic-api sends requests here until it has read the ring again.
func (w *worker) awaitIdle(t *testing.T) {
	t.Helper()
	const quiet = 2 * time.Second // hash_ring_reset_interval is one
	holder, since := map[string]string{}, time.Now()
	eventually(t, w.host+" has nothing to do", func() error {
		nodes, err := w.api.all(t.Context())
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if n.Reservation != "" {
				holder[n.UUID] = n.Reservation
			}
			between := n.Reservation == "" && slices.Contains([]string{"deploying", "cleaning"}, n.ProvisionState)
			if n.Reservation == w.host || between && holder[n.UUID] == w.host {
				since = time.Now()
				return fmt.Errorf("node %s is in %q, held by %q", n.UUID, n.ProvisionState, n.Reservation)
			}
		}
		if time.Since(since) < quiet {
			return errors.New("not for long enough")
		}
		return nil
	})
}

// log is what the host's conductors have logged so far.
func (w *worker) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(w.service.LogFile())
	must(t, err)
	return string(text)
}

// id is the key of the host's row in conductors.
func (w *worker) id(t *testing.T) int64 {
	t.Helper()
	var id int64
	must(t, w.db.QueryRowContext(t.Context(), "SELECT id FROM conductors WHERE hostname = ?", w.host).Scan(&id))
	return id
}

func (c *cluster) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	_, err := c.db.ExecContext(t.Context(), statement, args...)
	must(t, err)
}

// row reads a node's row, with NULL for columns without a value.
func (c *cluster) row(ctx context.Context, node string) (map[string]string, error) {
	rows, err := c.db.QueryContext(ctx, "SELECT * FROM nodes WHERE uuid = ?", node)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	if !rows.Next() {
		return nil, errors.Join(fmt.Errorf("there is no node %s", node), rows.Err())
	}
	values, places := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range values {
		places[i] = &values[i]
	}
	if err := rows.Scan(places...); err != nil {
		return nil, err
	}
	row := map[string]string{}
	for i, name := range names {
		if row[name] = values[i].String; !values[i].Valid {
			row[name] = "NULL"
		}
	}
	return row, nil
}

// keeper returns the host whose conductor looks after a node according to its row, and after node_history which ones
// wrote about it.
func (c *cluster) keeper(ctx context.Context, node string) (affinity string, wrote []string, err error) {
	var host, writers sql.NullString
	err = c.db.QueryRowContext(ctx, "SELECT c.hostname, (SELECT GROUP_CONCAT(DISTINCT h.conductor) FROM node_history h "+
		"WHERE h.node_id = n.id) FROM nodes n LEFT JOIN conductors c ON c.id = n.conductor_affinity WHERE n.uuid = ?", node).
		Scan(&host, &writers)
	if writers.Valid {
		wrote = strings.Split(writers.String, ",")
	}
	return host.String, wrote, err
}

// uuidOf makes up a UUID that the ring of some hosts maps as wanted.
func uuidOf(t *testing.T, wanted func(host func(hosts ...string) string) bool) string {
	t.Helper()
	for range 10000 {
		id := uuid.NewString()
		if wanted(func(hosts ...string) string {
			r, err := ring.New(ring.Config{Exponent: 5, Algorithm: "md5"}, hosts)
			must(t, err)
			return r.Host(id)
		}) {
			return id
		}
	}
	t.Fatal("no UUID is mapped as wanted")
	return ""
}

// uuidAmong makes up a UUID that belongs to a worker among others.
func (w *worker) uuidAmong(t *testing.T, others ...*worker) string {
	t.Helper()
	hosts := []string{w.host}
	for _, o := range others {
		hosts = append(hosts, o.host)
	}
	return uuidOf(t, func(host func(...string) string) bool { return host(hosts...) == w.host })
}

// ownerOf tells by this program's ring whose node it is.
func ownerOf(t *testing.T, node string, workers []*worker) *worker {
	t.Helper()
	byHost := map[string]*worker{}
	for _, w := range workers {
		byHost[w.host] = w
	}
	r, err := ring.New(ring.Config{Exponent: 5, Algorithm: "md5"}, slices.Collect(maps.Keys(byHost)))
	must(t, err)
	return byHost[r.Host(node)]
}

// conductorOf asks ironic-api which conductor a node is mapped to.
func (c *cluster) conductorOf(t *testing.T, node string) string {
	t.Helper()
	var n struct {
		Conductor string `json:"conductor"`
	}
	must(t, c.api.do(t.Context(), http.MethodGet, "/v1/nodes/"+node+"?fields=conductor", nil, &n))
	return n.Conductor
}

// members waits until ironic-api knows just these conductors of the redfish hardware type.
func (c *cluster) members(t *testing.T, workers ...*worker) {
	t.Helper()
	var want []string
	for _, w := range workers {
		want = append(want, w.host)
	}
	slices.Sort(want)
	eventually(t, fmt.Sprintf("the conductors are %v", want), func() error {
		hosts, err := c.api.drivers(t.Context(), "redfish")
		if err != nil {
			return err
		}
		if slices.Sort(hosts); !slices.Equal(hosts, want) {
			return errors.New(fmt.Sprint("they are ", hosts))
		}
		return nil
	})
}
