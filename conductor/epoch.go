package conductor

import (
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// keyEpoch names the run of the worker that a node's flow belongs to, for as long as the flow lasts. Every move through
// the state machine writes it, so a worker that goes on with a flow, its own from before a restart or another worker's,
// makes it its own.
const keyEpoch = "ironmaster_epoch"

// markEpoch writes this run into a node whose flow goes on, and takes the mark from one that is at rest.
func (t *task) markEpoch() {
	holds := []string{store.DeployHold, store.CleanHold, store.ServiceHold}
	state, info := t.Node.ProvisionState, t.Node.DriverInternalInfo
	if !store.Unstable(state) && !slices.Contains(holds, state) {
		delete(info, keyEpoch)
		return
	}
	info[keyEpoch] = store.Dict{"host": t.c.cfg.Host, "number": int64(t.c.local.Epoch())}
}

// fenced tells that a node's flow belongs to a later run of this same worker: this one is a ghost, whose reservations the
// later one can't tell from its own, and must leave the node alone. Epochs of different hosts say nothing about each other.
func (c *Conductor) fenced(n *store.Node) bool {
	mark := n.DriverInternalInfo.Dict(keyEpoch)
	number, known, err := mark.Int("number")
	return err == nil && known && strings.EqualFold(mark.String("host"), c.cfg.Host) && number > int64(c.local.Epoch())
}
