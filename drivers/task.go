package drivers

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// Task is what a driver sees of one operation on one node: the node's row under its lock, the interfaces that act for it
// and the worker around it. A Task belongs to one goroutine.
type Task struct {
	Node     *store.Node
	Hardware *Hardware
	Worker   Worker
	Log      zerolog.Logger
	// Shared tells that the node is not reserved by this task: it may be read, never changed.
	Shared bool
	// Routine tells that nobody waits for the work, and that it comes again by itself: it may be refused where it would take
	// long.
	Routine bool
	// Foreign tells that the node's flow was another worker's until now: what that one served to the machine is gone.
	Foreign bool
	// AutomatedClean tells that nodes are cleaned when their instances are gone, unless they say otherwise
	// ([conductor]automated_clean).
	AutomatedClean bool

	// The request this work was asked for by; empty for the worker's own periodic work. AuthToken is a secret.
	RequestID       string
	GlobalRequestID string
	AuthToken       string
	UserID          string
	// SystemScope tells that the token is for the whole cloud, which other services' projects don't know. Admin tells that the
	// requester has the role admin.
	SystemScope, Admin bool
}

// Worker is what drivers may ask of the conductor that runs them.
type Worker interface {
	// Save writes the node's changed columns, provided that the reservation is still this worker's; otherwise it returns
	// an error that wraps store.ErrLockLost and the driver must stop.
	Save(ctx context.Context, t *Task) error
	// Ports and Portgroups read the node's ports and port groups, which few operations look at.
	Ports(ctx context.Context, t *Task) ([]*store.Port, error)
	Portgroups(ctx context.Context, t *Task) ([]*store.Portgroup, error)
	// SavePort and SavePortgroup write what changed since they were read.
	SavePort(ctx context.Context, t *Task, p *store.Port) error
	SavePortgroup(ctx context.Context, t *Task, g *store.Portgroup) error
	// CreatePortgroup inserts a port group of the node, and gives it back as the row is now. DestroyPortgroup deletes one that has no
	// ports any more.
	CreatePortgroup(ctx context.Context, t *Task, g *store.Portgroup) error
	DestroyPortgroup(ctx context.Context, t *Task, g *store.Portgroup) error
	// VolumeConnectors and VolumeTargets read by what the node reaches volumes, and the volumes, in the order in which they were made.
	VolumeConnectors(ctx context.Context, t *Task) ([]*store.VolumeConnector, error)
	VolumeTargets(ctx context.Context, t *Task) ([]*store.VolumeTarget, error)
	// SaveVolumeTarget writes what changed in one of the node's volumes since it was read.
	SaveVolumeTarget(ctx context.Context, t *Task, v *store.VolumeTarget) error
	// DestroyVolumeTarget deletes the row of one of the node's volumes.
	DestroyVolumeTarget(ctx context.Context, t *Task, v *store.VolumeTarget) error
	// SetPower brings the node to a power state with everything that goes with it: columns, agent keys, notifications.
	// target is one of store.PowerOn, PowerOff, Reboot, SoftReboot and SoftPowerOff. It returns when the BMC reports the
	// state or the configured time is over.
	SetPower(ctx context.Context, t *Task, target string) error
	// Report tells the followers of progress events how far the running step is.
	Report(t *Task, p Progress)
	// Journal is the worker's own durable memory of the node's flow; another worker does not see it.
	Journal(t *Task) Journal
}

// Journal holds small values by key for one node, in the worker's local file.
type Journal interface {
	Put(ctx context.Context, key string, value any) error
	Get(ctx context.Context, key string, into any) (found bool, err error)
}

// Progress is how far one step is. Zero totals stand for unknown.
type Progress struct {
	// Doing says in a few words what goes on, or what is waited for.
	Doing string
	// Waiting tells that nothing moves until somebody else acts (an agent boots, a BMC answers).
	Waiting bool
	// Bytes done and in total.
	Bytes, Total int64
}
