package conductor

import (
	"context"
	stdsql "database/sql"
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/sql"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

// noImages knows no image: fake hardware needs none.
type noImages struct{}

func (noImages) IsGlance(string) bool { return false }
func (noImages) CleanUp(context.Context, func(context.Context) (map[string]bool, error)) error {
	return nil
}
func (noImages) InferKind(context.Context, *drivers.Task) (bool, string, error) {
	return false, "", nil
}
func (noImages) Served() []string         { return nil }
func (noImages) Away() map[string]Absence { return nil }

// rig is what workers of one test stand on; a worker can be stopped and another one started on the same.
type rig struct {
	cfg    Config
	db     *sql.DB
	url    string // of the database
	file   string // of the worker's own memory
	script *script
	clock  *clock
	images Images
	rules  Rules
	// brokerless workers have nowhere to send events.
	brokerless bool
}

// newRig makes a database and a file of their own. change may alter the configuration.
func newRig(t testing.TB, change func(*Config)) *rig {
	t.Helper()
	url := sqltest.URL(t)
	r := &rig{cfg: testConfig(), url: url, file: filepath.Join(t.TempDir(), "worker.db"), script: newScript(),
		clock: &clock{}, images: noImages{}}
	r.cfg.CertificatesPath = t.TempDir()
	if change != nil {
		change(&r.cfg)
	}
	if r.cfg.Release >= messaging.V2023_2 {
		for _, column := range []string{"service_step TEXT", "parent_node VARCHAR(36)"} {
			execAt(t, url, "ALTER TABLE nodes ADD COLUMN "+column)
		}
	}
	if r.cfg.Release >= messaging.V2026_1 {
		execAt(t, url, "ALTER TABLE nodes ADD COLUMN health VARCHAR(20)")
	}
	if r.cfg.Release >= messaging.V2024_2 {
		for _, statement := range runbookTables {
			execAt(t, url, statement)
		}
	}
	r.db = sqltest.OpenAt(t, url, nil)
	return r
}

// runbookTables are those of runbooks, as far as a worker reads them.
var runbookTables = []string{
	"CREATE TABLE runbooks (id INTEGER PRIMARY KEY, uuid VARCHAR(36), name VARCHAR(255), version VARCHAR(15), created_at DATETIME, " +
		"updated_at DATETIME, description VARCHAR(255), disable_ramdisk BOOLEAN, public BOOLEAN, owner VARCHAR(255), extra TEXT)",
	`CREATE TABLE runbook_steps (id INTEGER PRIMARY KEY, runbook_id INTEGER, interface VARCHAR(255), step VARCHAR(255), args TEXT, ` +
		`"order" INTEGER, version VARCHAR(15), created_at DATETIME, updated_at DATETIME)`,
	"CREATE TABLE runbook_traits (runbook_id INTEGER, trait VARCHAR(255), version VARCHAR(15), created_at DATETIME, updated_at DATETIME)",
}

// peer is a rig of another host on the same database, with the same hardware.
func (r *rig) peer(t *testing.T, host string) *rig {
	t.Helper()
	other := *r
	other.cfg.Host, other.file, other.clock = host, filepath.Join(t.TempDir(), "worker.db"), &clock{}
	return &other
}

// worker is a conductor at work, on a bus of its own.
type worker struct {
	*Conductor
	db     *sql.DB
	url    string
	script *script
	clock  *clock
	bus    *testBus
	handle func(context.Context, Message)
	stop   func()
	// ended is closed when Run has returned.
	ended chan struct{}
}

func testConfig() Config {
	return Config{
		Host: "worker-1", PublisherHost: "worker-1", Release: messaging.V2023_1,
		HeartbeatInterval: 10 * time.Second, HeartbeatTimeout: time.Minute, SyncPowerStateWorkers: 8,
		HashPartitionExponent: 5, HashRingAlgorithm: "md5", HashRingResetInterval: 15 * time.Second, NotificationLevel: "info",
		NotificationDrivers: []string{"messagingv2"}, NotificationTopics: []string{"ironic_versioned_notifications"},
		MaxMessageSize: oslo.DefaultMaxSize,
		Live: Live{
			WorkersPoolSize: 100, PeriodicMaxWorkers: 8, NodeLockedRetryAttempts: 3,
			NodeLockedRetryInterval: 50 * time.Millisecond, SoftPowerOffTimeout: 10 * time.Minute,
			PowerStateSyncMaxRetries: 3, ForcePowerStateDuringSync: true, AutomatedClean: true,
			MaxConcurrentDeploy: 250, MaxConcurrentClean: 50, AllowDeletingAvailableNodes: true,
			AllowProvisioningInMaintenance: true, NodeHistory: true, PowerOffAfterDeployFailure: true, LogInDBMaxSize: 4096,
			ProgressInterval: 5 * time.Second, GracefulShutdownTimeout: 10 * time.Second,
		},
	}
}

// startWorker runs a conductor with scripted hardware until the test ends. change may alter its configuration.
func startWorker(t testing.TB, change func(*Config)) *worker {
	t.Helper()
	return newRig(t, change).start(t)
}

// build makes a conductor that does nothing by itself, with its memory open until the test ends.
func (r *rig) build(t testing.TB) (c *Conductor, bus *testBus, closeMemory func()) {
	t.Helper()
	log := zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel)
	memory, err := local.OpenOrSetAside(r.file, local.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	enabled, _, err := catalog.Enable(r.script.catalog(), catalog.Config{
		HardwareTypes: catalog.List{Names: []string{"fake-hardware"}, Explicit: true},
		Interfaces: map[drivers.InterfaceType]catalog.List{
			drivers.TypeBoot: {Names: []string{"fake", "retrying"}}, drivers.TypeDeploy: {Names: []string{"fake", "choosing", "installing"}},
			drivers.TypeNetwork: {Names: []string{"noop"}}, drivers.TypeStorage: {Names: []string{"noop"}},
			drivers.TypeRAID:    {Names: []string{"fake", "no-raid"}},
			drivers.TypeInspect: {Names: []string{"fake", "inspector"}},
			drivers.TypeConsole: {Names: []string{"fake", "no-console", "expiring"}}, drivers.TypeVendor: {Names: []string{"fake", "no-vendor"}},
		},
		Defaults: map[drivers.InterfaceType]string{drivers.TypeStorage: "noop"},
	})
	if err != nil {
		t.Fatal(err)
	}
	codec, err := objects.New(r.cfg.Release, 0)
	if err != nil {
		t.Fatal(err)
	}
	bus = newTestBus(r.cfg)
	parts := Parts{DB: r.db, Local: memory, Transport: bus, Hardware: enabled, Images: r.images, Rules: r.rules, Codec: codec, Log: log,
		Consoles: r.script, Metrics: prometheus.NewRegistry(), Now: r.clock.now, Uptime: r.clock.uptime}
	if !r.brokerless {
		parts.Notifier = bus
	}
	c = New(r.cfg, parts)
	return c, bus, sync.OnceFunc(func() {
		if err := memory.Close(); err != nil {
			t.Error(err)
		}
	})
}

func (r *rig) start(t testing.TB) *worker {
	t.Helper()
	c, bus, closeMemory := r.build(t)
	w := &worker{Conductor: c, db: r.db, url: r.url, script: r.script, clock: r.clock, bus: bus,
		ended: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- w.Run(ctx)
		close(w.ended)
	}()
	w.handle = <-bus.handle
	w.stop = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the worker ended with %v", err)
		}
		closeMemory()
	})
	t.Cleanup(w.stop)
	waitUntil(t, "the worker is at work", w.atWork.Load)
	return w
}

// awaitLimit is how long a test waits for what has to come, on a machine that is busy with other tests.
const awaitLimit = time.Minute

// waitUntil polls a condition until awaitLimit is over.
func waitUntil(t testing.TB, what string, met func() bool) {
	t.Helper()
	for deadline := time.Now().Add(awaitLimit); !met(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// call sends one request and returns its reply.
func (w *worker) call(t *testing.T, method string, args map[string]any) *oslo.Reply {
	t.Helper()
	r := &oslo.Request{Method: method, Version: "1.0", Args: map[string]json.RawMessage{}, MsgID: uuid.NewString(),
		ReplyQ: "reply_" + uuid.NewString(), Context: oslo.AdminContext()}
	for name, value := range args {
		raw, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		r.Args[name] = raw
	}
	body, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return w.deliver(t, r.ReplyQ, body)
}

func (w *worker) deliver(t *testing.T, replyQ string, body []byte) *oslo.Reply {
	t.Helper()
	answers := make(chan []byte, 4)
	w.bus.mu.Lock()
	w.bus.replies[replyQ] = answers
	w.bus.mu.Unlock()
	w.handle(t.Context(), w.bus.message(body, ackNothing))
	select {
	case answer := <-answers:
		reply, err := oslo.DecodeReply(answer)
		if err != nil {
			t.Fatal(err)
		}
		return reply
	case <-time.After(awaitLimit):
		t.Fatal("no reply came")
		return nil
	}
}

// must calls and fails the test when the call fails.
func (w *worker) must(t *testing.T, method string, args map[string]any) json.RawMessage {
	t.Helper()
	reply := w.call(t, method, args)
	if reply.Failure != nil {
		t.Fatalf("%s failed: %s: %s", method, reply.Failure.Class, reply.Failure.Message)
	}
	return reply.Result
}

// enroll creates a fake node in a provision state.
func (w *worker) enroll(t testing.TB, change func(*store.Node)) *store.Node {
	t.Helper()
	n := &store.Node{Driver: "fake-hardware", ProvisionState: store.Enroll}
	if change != nil {
		change(n)
	}
	if _, err := w.hardware.Fill(n); err != nil {
		t.Fatal(err)
	}
	if err := w.db.CreateNode(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	return n
}

// settled waits until nobody holds the node and returns its row.
func (w *worker) settled(t *testing.T, node, state string) *store.Node {
	t.Helper()
	var n *store.Node
	waitUntil(t, "node is "+state, func() bool {
		var err error
		if n, err = w.db.Node(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		return n.Reservation == "" && n.ProvisionState == state && !w.holds(n.UUID)
	})
	return n
}

// holds tells whether the worker's own record of a lock is still there, which goes after the reservation.
func (w *worker) holds(node string) bool {
	return slices.ContainsFunc(w.local.Locks(), func(l local.Lock) bool { return l.Node == node && !l.Shared })
}

func TestFakeNodeGoesFromEnrollToActiveAndBack(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, func(n *store.Node) { n.InstanceInfo = store.Dict{"image_source": "http://127.0.0.1/disk.raw"} })
	for _, step := range []struct {
		method string
		args   map[string]any
		state  string
	}{
		{"do_provisioning_action", map[string]any{"action": "manage"}, store.Manageable},
		{"do_provisioning_action", map[string]any{"action": "provide"}, store.Available},
		{"do_node_deploy", map[string]any{"rebuild": false, "configdrive": nil}, store.Active},
		{"do_node_deploy", map[string]any{"rebuild": true}, store.Active},
		{"do_node_tear_down", nil, store.Available},
	} {
		args := map[string]any{"node_id": n.UUID}
		for k, v := range step.args {
			args[k] = v
		}
		w.must(t, step.method, args)
		got := w.settled(t, n.UUID, step.state)
		if got.LastError != "" || got.TargetProvisionState != "" {
			t.Errorf("after %s: last_error %q, target %q", step.method, got.LastError, got.TargetProvisionState)
		}
	}
	got := w.settled(t, n.UUID, store.Available)
	if len(got.InstanceInfo) != 0 || len(got.DeployStep) != 0 || got.DriverInternalInfo["deploy_steps"] != nil {
		t.Errorf("the tear-down left instance_info %v, deploy_step %v, driver_internal_info %v", got.InstanceInfo,
			got.DeployStep, got.DriverInternalInfo)
	}
	waitUntil(t, "no lock is left", func() bool { return len(w.local.Locks()) == 0 })
	w.bus.waitFor(t, func(types []string) bool {
		count := 0
		for _, typ := range types {
			if typ == "baremetal.node.provision_set.end" {
				count++
			}
		}
		return count >= 5 && slices.Contains(types, "baremetal.node.deploy_progress.end")
	})
}

// refused calls and returns the failure's text; it fails the test when the failure is not of the class.
func (w *worker) refused(t *testing.T, class store.Kind, method string, args map[string]any) string {
	t.Helper()
	reply := w.call(t, method, args)
	if reply.Failure == nil {
		t.Fatalf("%s answered %s, want %s", method, reply.Result, class)
	}
	if reply.Failure.Class != string(class) {
		t.Fatalf("%s failed with %s (%s), want %s", method, reply.Failure.Class, reply.Failure.Message, class)
	}
	return reply.Failure.Message
}

// row reads a node as it is now.
func (w *worker) row(t *testing.T, node string) *store.Node {
	t.Helper()
	n, err := w.db.Node(t.Context(), node)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// announced waits until exactly these events of a node have come, in order.
func (w *worker) announced(t *testing.T, node string, want ...string) {
	t.Helper()
	deadline := time.Now().Add(awaitLimit)
	for !slices.Equal(w.bus.seen(node), want) {
		if time.Now().After(deadline) {
			t.Fatalf("events %q, want %q", w.bus.seen(node), want)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// exec changes the database behind the worker's back.
func (w *worker) exec(t *testing.T, statement string, args ...any) {
	t.Helper()
	execAt(t, w.url, statement, args...)
}

func execAt(t testing.TB, url, statement string, args ...any) {
	t.Helper()
	db, err := stdsql.Open("sqlite", strings.TrimPrefix(url, "sqlite:///")+"?_pragma=busy_timeout(20000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatal(err)
	}
}

// unlocked waits until the worker holds nothing.
func (w *worker) unlocked(t *testing.T) {
	t.Helper()
	waitUntil(t, "no lock is left", func() bool { return len(w.local.Locks()) == 0 })
}
