package conductor

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store/local"
)

// Form is how a request is written. The inbox notes it: a worker may be started with another transport than the one that
// brought what its inbox holds.
type Form string

// The forms, by the name of their transport.
const (
	FormOslo    Form = "oslo"
	FormJSONRPC Form = "json-rpc"
)

// Wire is what reading requests and writing answers takes.
type Wire struct {
	// Release is the ironic release whose clients ask.
	Release messaging.Release
	// MaxSize bounds a request, in bytes.
	MaxSize int
}

func ackNothing() error { return nil }

// again reads a request out of the inbox. One that came over another transport than today's has nobody who waits for its
// answer.
func (c *Conductor) again(call local.Call) (Message, error) {
	form, wire := Form(call.Form), Wire{Release: c.cfg.Release, MaxSize: c.cfg.MaxMessageSize}
	if form == "" {
		form = FormOslo // Earlier builds knew no other and did not say so.
	}
	switch form {
	case c.transport.Form():
		return c.transport.Again(call.Body), nil
	case FormOslo:
		return newOsloMessage(call.Body, wire, ackNothing, sendNowhere, zerolog.Nop()), nil
	case FormJSONRPC:
		return newLostJSONMessage(call.Body, wire), nil
	}
	return nil, fmt.Errorf("it came over a transport that this build does not know: %q", call.Form)
}

func sendNowhere(context.Context, string, []byte) error { return nil }
