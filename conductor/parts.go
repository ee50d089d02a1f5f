package conductor

import (
	"context"
	"encoding/json"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// Transport is how requests come to the worker and answers go back: one for each [DEFAULT]rpc_transport.
type Transport interface {
	// Serve hands out requests until ctx ends.
	Serve(ctx context.Context, handle func(context.Context, Message))
	// Ready waits until requests can arrive; it fails when ctx ends before.
	Ready(ctx context.Context) error
	// Health tells what requests need to come, by name, and whether it is away at the moment; nil when it is there.
	Health() (part string, away *Absence)
	// Again reads a request that came over this transport before the worker's last start, out of the inbox. Whoever sent
	// it may have gone.
	Again(body []byte) Message
	// Form is how requests are written on this transport.
	Form() Form
}

// Absence tells since when something that the worker needs is away, and why.
type Absence struct {
	Since time.Time
	// Reason may be nil while nothing has been tried yet.
	Reason error
}

// Message is one request as a transport brought it.
type Message interface {
	// Request is what is asked, or why that can't be understood.
	Request() (*oslo.Request, error)
	// Body is the request as it came, which the inbox keeps.
	Body() []byte
	// Ack tells the transport that the request is in safe hands.
	Ack() error
	// IsCall tells whether the sender waits for an answer.
	IsCall() bool
	// Reply sends the one answer that a call is owed: a result in its wire form, or a failure. To a cast it sends
	// nothing. An error tells that the caller could not be reached.
	Reply(ctx context.Context, result any, failure error) error
	// KeepWaiting tells a caller that asked for signs of life that its call is being worked on, until stop is called.
	KeepWaiting(ctx context.Context) (stop func())
}

// Rules are the inspection rules that users made.
type Rules interface {
	// Apply does with a node what its findings call for. It changes the node in memory, also when it fails.
	Apply(ctx context.Context, t *drivers.Task, inventory, pluginData store.Dict, phase string) error
}

// Notifier is the broker that events go to.
type Notifier interface {
	// Notify publishes to the exchange and waits for the broker's confirm. It also makes sure that a queue of that name
	// exists, as oslo's publishers do.
	Notify(ctx context.Context, routingKey string, body []byte) error
	// Publish is Notify without the queue: what nobody listens to is dropped.
	Publish(ctx context.Context, routingKey string, body []byte) error
}

// Codec turns model values into versioned objects and back, at the versions of the release that is spoken.
type Codec interface {
	DecodeNode(object json.RawMessage) (n *store.Node, changes []string, err error)
	DecodePort(object json.RawMessage) (p *store.Port, changes []string, err error)
	DecodePortgroup(object json.RawMessage) (p *store.Portgroup, changes []string, err error)
	DecodeVolumeConnector(object json.RawMessage) (v *store.VolumeConnector, changes []string, err error)
	DecodeVolumeTarget(object json.RawMessage) (v *store.VolumeTarget, changes []string, err error)
	DecodeAllocation(object json.RawMessage) (a *store.Allocation, changes []string, err error)
	EncodeNode(n *store.Node) *objects.Object
	EncodePort(p *store.Port) *objects.Object
	EncodePortgroup(p *store.Portgroup) *objects.Object
	EncodeVolumeConnector(v *store.VolumeConnector) *objects.Object
	EncodeVolumeTarget(v *store.VolumeTarget) *objects.Object
	EncodeAllocation(a *store.Allocation) *objects.Object
	// What follows is for callers that have no database of their own.
	Accepts(class, version string) error
	Own(class, version string) string
	Version(class string) string
	Encode(class string, model any) *objects.Object
	EncodeAt(class, version string, model any) *objects.Object
	List(class, version string, elements []*objects.Object) *objects.Object
	DecodeSent(object json.RawMessage) (*objects.Sent, error)
	Backport(object json.RawMessage, version string) (map[string]json.RawMessage, error)
}

// Media makes images that users attach readable for BMCs.
type Media interface {
	// Publish fetches an image and returns the URL at which the node's BMC reads it, until it is withdrawn. name ends the URL; an
	// image that was published for the node under it is withdrawn before.
	Publish(ctx context.Context, node, name, href string) (url string, err error)
	// Withdraw takes images back. One that is not published is no error.
	Withdraw(node string, names ...string) error
}

// Consoles is what the containers of graphical consoles run in.
type Consoles interface {
	// StopAll ends all of this conductor's containers.
	StopAll(ctx context.Context) error
}

// Images decides what kind of image a node is to get.
type Images interface {
	// IsGlance tells whether a reference names an image in Glance.
	IsGlance(ref string) bool
	// InferKind records whether the node's image is a whole-disk image; reason says why in a sentence.
	// A source that no service can read is an error.
	InferKind(ctx context.Context, t *drivers.Task) (changed bool, reason string, err error)
	// CleanUp forgets images that no deployment needs; deploying lists the UUIDs of nodes that are being deployed.
	CleanUp(ctx context.Context, deploying func(context.Context) (map[string]bool, error)) error
	// Served lists the UUIDs of nodes that can fetch something from this host: an image, a boot ISO.
	Served() []string
	// Away tells which services that hold images flows wait for.
	Away() map[string]Absence
}
