// Package conductor is the worker: it takes ironic's RPC, holds nodes, runs the flows that change them, and does what
// has to be done again and again. It is the only floor that sees both the wire and the hardware.
package conductor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/sql"
)

// Parts is what a worker is made of. Whoever made them closes them, after Run has returned.
type Parts struct {
	DB        *sql.DB
	Local     *local.DB
	Transport Transport
	// Notifier is nil when there is no broker that events could go to.
	Notifier Notifier
	Hardware *catalog.Enabled
	Images   Images
	// Media serves what users put into virtual drives; nil where no request for that can come.
	Media Media
	// Consoles holds the containers of graphical consoles; nil where the release has none.
	Consoles Consoles
	// Rules is nil where the release has none.
	Rules Rules
	// Compute is nil when nobody wants to know of power states.
	Compute Compute
	// Meter is nil when nobody wants ironic's measurements.
	Meter Meter
	Codec Codec
	Log   zerolog.Logger
	// Metrics is where the worker's metrics are registered.
	Metrics prometheus.Registerer
	// Now is the clock; nil stands for the system's.
	Now func() time.Time
	// Uptime is a clock that nobody sets and that goes on while the machine is suspended; nil stands for the system's.
	Uptime func() time.Duration
}

// Conductor is one worker.
type Conductor struct {
	cfg       Config
	options   atomic.Pointer[Live]
	reloaded  bell
	db        *sql.DB
	local     *local.DB
	transport Transport
	notifier  Notifier
	hardware  *catalog.Enabled
	images    Images
	media     Media
	rules     Rules
	compute   Compute
	consoles  Consoles
	meter     Meter
	codec     Codec
	log       zerolog.Logger
	// records and reservations are local and db, for the locks on nodes.
	records      records
	reservations reservations
	now          func() time.Time
	uptime       func() time.Duration

	methods     map[string]rpcMethod
	machine     machine
	pool        *pool
	lease       lease
	witness     witness
	startOffset time.Duration // the clockOffset at the start
	ownership   ownership
	progress    progressBoard
	feed        feed
	powerCounts powerCounts
	controllers *controllers
	postponed   postponed
	strayBeats  strayBeats
	cut         cutCalls
	leftBehind  leftBehind
	searches    searches
	// tended are the UUIDs of nodes about which the service that inspects them is being spoken to.
	tended  sync.Map
	metrics metrics
	// owedLooked is the uptime at which all rows were looked at last for announcements left behind. The start sets it, and
	// then the periodic work alone.
	owedLooked time.Duration
	// conductorID is this worker's row; it is known once registered is closed.
	conductorID int64
	unserved    unserved
	registered  chan struct{}
	// atWork tells that the start is over.
	atWork  atomic.Bool
	leaving leaving
	ending  *ending

	// workCtx outlives requests and ends when the worker has to be gone; work is within it.
	workCtx    context.Context
	work       working
	endWork    context.CancelFunc
	background sync.WaitGroup
}

// New puts a worker together; Run starts it.
func New(cfg Config, p Parts) *Conductor {
	c := &Conductor{
		cfg: cfg, db: p.DB, local: p.Local, transport: p.Transport, notifier: p.Notifier, hardware: p.Hardware,
		images: p.Images, media: p.Media, rules: p.Rules, compute: p.Compute, consoles: p.Consoles, meter: p.Meter,
		codec: p.Codec, log: p.Log, now: p.Now, uptime: p.Uptime, methods: rpcMethods(),
		records: p.Local, reservations: p.DB, machine: newMachine(cfg.Release),
		pool:        newPool(cfg.WorkersPoolSize, cfg.ReservedWorkersPercentage),
		registered:  make(chan struct{}),
		ending:      newEnding(),
		progress:    progressBoard{flows: map[string]*flowProgress{}},
		feed:        feed{followers: map[chan []byte]bool{}},
		powerCounts: powerCounts{count: map[string]int{}},
		controllers: newControllers(cfg.SyncPowerStateWorkers),
		postponed:   postponed{beats: map[string]heartbeat{}},
		strayBeats:  strayBeats{states: map[string]string{}},
		owedLooked:  -owedWholeSpacing,
	}
	c.options.Store(&cfg.Live)
	if c.now == nil {
		c.now = time.Now
	}
	if c.uptime == nil {
		c.uptime = uptime
	}
	c.lease.renew(-cfg.HeartbeatTimeout)
	c.startOffset = c.clockOffset()
	c.metrics = newMetrics(c, p.Metrics)
	c.workCtx, c.endWork = context.WithCancel(context.Background())
	c.work.begin(c.workCtx)
	return c
}

// Run works until End is called, or ctx ends, which is asking for Stop. An error tells that the worker could not start.
func (c *Conductor) Run(ctx context.Context) error {
	defer c.endWork()
	defer context.AfterFunc(ctx, func() { c.End(Stop) })()
	defer c.ending.hurry()
	serveCtx, stopServing := context.WithCancel(context.Background())
	defer stopServing()
	var serving, publishing sync.WaitGroup
	publishCtx, stopPublishing := context.WithCancel(context.Background())
	defer stopPublishing()
	if c.notifier != nil {
		publishing.Go(func() { c.publish(publishCtx) })
	}
	// Requests can arrive before the row is there: once ironic-api sees the row it sends.
	serving.Go(func() { c.transport.Serve(serveCtx, c.receive) })
	err := c.start(ctx)
	if err == nil {
		c.atWork.Store(true)
		c.log.Info().Str("host", c.cfg.Host).Stringer("release", c.cfg.Release).Uint64("epoch", c.local.Epoch()).
			Msg("The conductor is at work")
		<-c.ending.asked
	}
	c.stop(stopServing, &serving)
	stopPublishing()
	publishing.Wait()
	if c.notifier != nil {
		drain, cancel := context.WithTimeout(context.Background(), outboxDrainTime)
		defer cancel()
		c.drainOutbox(drain)
	}
	return err
}

const outboxDrainTime = 5 * time.Second

// claim forgets what an earlier life of this worker held (reference/states.md §10, steps 1): stale lock records, pending
// power changes and reservations. It returns the nodes that were reserved. The worker is registered: were it not, a peer that
// takes it for gone could take away what is reserved from here on.
func (c *Conductor) claim(ctx context.Context) ([]string, error) {
	for _, l := range c.local.Stale() {
		c.log.Warn().Str("node", l.Node).Str("purpose", l.Purpose).Msg("Dropping a lock from before the restart")
		c.note(&store.Node{UUID: l.Node}, local.Moment{Kind: momentWorker, Turn: true,
			Text: fmt.Sprintf("conductor %s started again; it had held the node for %s", c.cfg.Host, l.Purpose)})
		if err := c.local.Drop(l.Holder); err != nil {
			return nil, fmt.Errorf("dropping a lock from before the restart: %w", err)
		}
	}
	if _, err := c.db.ClearTargetPowerStates(ctx, c.cfg.Host, slices.Concat(resumable, awaiting)...); err != nil {
		return nil, fmt.Errorf("clearing pending power changes: %w", err)
	}
	claimed, err := c.db.ClearReservations(ctx, c.cfg.Host)
	if err != nil {
		return nil, fmt.Errorf("clearing this host's reservations: %w", err)
	}
	return claimed, nil
}

// start registers the worker and begins its own work.
func (c *Conductor) start(ctx context.Context) error {
	if err := c.transport.Ready(ctx); err != nil {
		return err
	}
	row := &store.Conductor{Hostname: c.cfg.Host, ConductorGroup: c.cfg.Group, Drivers: c.hardware.HardwareTypes(), Online: true}
	began := c.uptime()
	replaced, err := c.db.Register(ctx, row, c.hardware.Rows())
	if err != nil {
		return fmt.Errorf("registering conductor %s: %w", c.cfg.Host, err)
	}
	if replaced {
		c.log.Warn().Str("host", c.cfg.Host).Msg("The conductor was registered as online already and is taken over")
	}
	c.conductorID = row.ID
	c.lease.renew(began)
	claimed, err := c.claim(ctx)
	if err != nil {
		return err
	}
	// From the registration on requests are accepted, and those that run are not to be run again.
	left, err := c.local.Pending()
	if err != nil {
		return fmt.Errorf("reading requests from before the restart: %w", err)
	}
	var begun map[string]bool
	if len(left) > 0 {
		if begun, err = c.begunCalls(ctx); err != nil {
			return fmt.Errorf("looking which requests had begun a flow before the restart: %w", err)
		}
	}
	close(c.registered)
	c.background.Go(func() { c.keepAlive(c.workCtx) })
	c.background.Go(func() { c.watchLease(c.workCtx) })
	if err := c.replay(c.workCtx, left, begun); err != nil {
		return fmt.Errorf("running requests from before the restart: %w", err)
	}
	if err := c.resumeOwn(ctx); err != nil {
		return fmt.Errorf("resuming flows from before the restart: %w", err)
	}
	if err := c.resumeAllocations(ctx); err != nil {
		c.log.Error().Err(err).Msg("Resuming allocations from before the restart failed")
	}
	if err := errors.Join(c.settleClaimed(ctx, claimed), c.settleLeft(ctx)); err != nil {
		return fmt.Errorf("announcing what was left unannounced before the restart: %w", err)
	}
	if err := c.failLeftovers(ctx, claimed); err != nil {
		return fmt.Errorf("failing nodes that an earlier run left in the middle: %w", err)
	}
	if err := c.cleanImages(ctx); err != nil {
		c.log.Warn().Err(err).Msg("Cleaning up images from before the restart failed")
	}
	// Those of nodes that are another worker's by now would stay for ever.
	if err := c.stopContainers(ctx); err != nil {
		return err
	}
	c.background.Go(func() { c.startConsoles(c.working()) })
	c.background.Go(func() {
		if err := c.serveInstances(c.working()); err != nil {
			c.log.Error().Err(err).Msg("Listing instances that boot from this worker failed")
		}
	})
	c.runPeriodics(c.workCtx)
	return nil
}

// taskOf finds the task around what a driver was handed.
func (c *Conductor) taskOf(dt *drivers.Task) *task {
	return &task{Task: dt, c: c, request: oslo.Context{RequestID: dt.RequestID, GlobalRequestID: dt.GlobalRequestID,
		User: dt.UserID, IsAdminProject: true}}
}

// Save is drivers.Worker: a driver writes the node's row.
func (c *Conductor) Save(ctx context.Context, dt *drivers.Task) error { return c.taskOf(dt).save(ctx) }

// Ports is drivers.Worker: the node's ports as the database has them now.
func (c *Conductor) Ports(ctx context.Context, dt *drivers.Task) ([]*store.Port, error) {
	return c.db.PortsOfNode(ctx, dt.Node.ID)
}

// Portgroups is drivers.Worker: the node's port groups as the database has them now.
func (c *Conductor) Portgroups(ctx context.Context, dt *drivers.Task) ([]*store.Portgroup, error) {
	return c.db.PortgroupsOfNode(ctx, dt.Node.ID)
}

// SavePort is drivers.Worker: a driver writes the row of one of the node's ports.
func (c *Conductor) SavePort(ctx context.Context, _ *drivers.Task, p *store.Port) error {
	return c.db.SavePort(ctx, p)
}

// SavePortgroup is drivers.Worker: a driver writes the row of one of the node's port groups.
func (c *Conductor) SavePortgroup(ctx context.Context, _ *drivers.Task, g *store.Portgroup) error {
	return c.db.SavePortgroup(ctx, g)
}

// CreatePortgroup is drivers.Worker: a driver gives the node a port group.
func (c *Conductor) CreatePortgroup(ctx context.Context, dt *drivers.Task, g *store.Portgroup) error {
	g.NodeID = dt.Node.ID
	if g.Mode == nil {
		g.Mode = &c.cfg.DefaultPortgroupMode
	}
	return c.db.CreatePortgroup(ctx, g)
}

// DestroyPortgroup is drivers.Worker: a driver deletes one of the node's port groups.
func (c *Conductor) DestroyPortgroup(ctx context.Context, _ *drivers.Task, g *store.Portgroup) error {
	return c.db.DestroyPortgroup(ctx, g, g.UUID)
}

// VolumeConnectors is drivers.Worker: the node's volume connectors as the database has them now.
func (c *Conductor) VolumeConnectors(ctx context.Context, dt *drivers.Task) ([]*store.VolumeConnector, error) {
	return c.db.VolumeConnectorsOfNode(ctx, dt.Node.ID)
}

// VolumeTargets is drivers.Worker: the node's volume targets as the database has them now.
func (c *Conductor) VolumeTargets(ctx context.Context, dt *drivers.Task) ([]*store.VolumeTarget, error) {
	return c.db.VolumeTargetsOfNode(ctx, dt.Node.ID)
}

// SaveVolumeTarget is drivers.Worker: a driver writes the row of one of the node's volume targets.
func (c *Conductor) SaveVolumeTarget(ctx context.Context, _ *drivers.Task, v *store.VolumeTarget) error {
	return c.db.SaveVolumeTarget(ctx, v)
}

// DestroyVolumeTarget is drivers.Worker: a driver deletes one of the node's volume targets.
func (c *Conductor) DestroyVolumeTarget(ctx context.Context, _ *drivers.Task, v *store.VolumeTarget) error {
	return c.db.DestroyVolumeTarget(ctx, v)
}

// Journal is drivers.Worker: the worker's own memory of a node's flow.
func (c *Conductor) Journal(dt *drivers.Task) drivers.Journal {
	return nodeJournal{c: c, node: dt.Node.UUID}
}

type nodeJournal struct {
	c    *Conductor
	node string
}

func (j nodeJournal) Put(ctx context.Context, key string, value any) error {
	return j.c.untilRoom(ctx, "the journal of node "+j.node, func() error { return j.c.local.Put(j.node, key, value) })
}

func (j nodeJournal) Get(_ context.Context, key string, into any) (bool, error) {
	return j.c.local.Get(j.node, key, into)
}

// hasFirmware tells whether nodes of the release have a firmware interface.
func (c *Conductor) hasFirmware() bool { return c.cfg.Release >= messaging.V22_1 }
