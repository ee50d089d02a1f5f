package conductor

import (
	"context"
	"encoding/json"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
)

// Bus is the broker as the worker needs it: replies and events go out through it, requests come in through Serve.
type Bus interface {
	// Serve hands out requests until ctx ends.
	Serve(ctx context.Context, handle func(context.Context, Message))
	// Ready waits until requests can arrive; it fails when ctx ends before.
	Ready(ctx context.Context) error
	// Connected tells whether the broker can be reached at the moment.
	Connected() bool
	// Reply sends to a caller's queue; it gives up when the queue does not appear.
	Reply(ctx context.Context, replyQueue string, body []byte) error
	// Notify publishes to the exchange and waits for the broker's confirm. It also makes sure that a queue of that name
	// exists, as oslo's publishers do.
	Notify(ctx context.Context, routingKey string, body []byte) error
	// Publish is Notify without the queue: what nobody listens to is dropped.
	Publish(ctx context.Context, routingKey string, body []byte) error
}

// Message is one delivery from the broker.
type Message interface {
	Body() []byte
	// Ack tells the broker to forget the message.
	Ack() error
}

// Codec turns model values into versioned objects and back, at the versions of the release that is spoken.
type Codec interface {
	DecodeNode(object json.RawMessage) (n *store.Node, changes []string, err error)
	DecodePort(object json.RawMessage) (p *store.Port, changes []string, err error)
	EncodeNode(n *store.Node) *objects.Object
	EncodePort(p *store.Port) *objects.Object
}

// Images decides what kind of image a node is to get.
type Images interface {
	// IsGlance tells whether a reference names an image in Glance.
	IsGlance(ref string) bool
	// InferKind records whether the node's image is a whole-disk image; reason says why in a sentence.
	InferKind(ctx context.Context, t *drivers.Task) (changed bool, reason string)
	// CleanUp forgets images that no deployment needs; deploying lists the UUIDs of nodes that are being deployed.
	CleanUp(ctx context.Context, deploying func(context.Context) (map[string]bool, error)) error
	// Served lists the UUIDs of nodes that can fetch something from this host: an image, a boot ISO.
	Served() []string
}
