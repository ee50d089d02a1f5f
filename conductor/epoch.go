package conductor

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// keyEpoch names the run of the worker that a node's flow belongs to, for as long as the flow lasts, and what that run knows
// of the flow that the columns of ironic do not hold. Every move through the state machine writes it, so a worker that goes
// on with a flow, its own from before a restart or another worker's, makes it its own.
const keyEpoch = "ironmaster_epoch"

// The entries of the mark.
const (
	markHost   = "host"   // the worker
	markNumber = "number" // its epoch

	// markCall and markOrigin are the inbox's id of the request that began the flow, and the worker whose inbox that is.
	markCall   = "call"
	markOrigin = "origin"
	// markEarlier are such pairs of requests that the flow began or went on with before.
	markEarlier = "earlier"
	// markFrom is the state that a tear-down began in.
	markFrom = "from"
	// markEnding tells that the steps of a cleaning are over and only its end is missing; its value is disable_ramdisk.
	markEnding = "ending"
	// markStep is the run (see runName) that began the running step, markTries how often the step was begun anew because
	// the worker that it read from had gone.
	markStep  = "step"
	markTries = "tries"
	// markBoot is when the machine was last switched, if its worker went away while it booted its agent and its BMC was at work on it:
	// it boots anew when that is over, should nothing have been heard of the agent.
	markBoot = "boot"
	// markFound tells that the ramdisk of an inspection has told what it found, which the worker keeps in its journal.
	markFound = "found"
	// markRuled tells that inspection rules were applied to what was found, which the worker keeps in its journal as they left it.
	markRuled = "ruled"
	// markLeft are the problems in taking the ramdisk away, if there were any by the time that the rules were applied.
	markLeft = "left"
)

// privateKeys is how keys of driver_internal_info begin that only Ironmaster knows.
const privateKeys = "ironmaster_"

// mark is the node's mark; it may be nil.
func mark(n *store.Node) store.Dict { return n.DriverInternalInfo.Dict(keyEpoch) }

// note changes entries of the node's mark, which the next save writes; nil removes one.
func (t *task) note(entries store.Dict) {
	m := mark(t.Node).Clone()
	if m == nil {
		m = store.Dict{}
	}
	for key, value := range entries {
		if value == nil {
			delete(m, key)
			continue
		}
		m[key] = value
	}
	t.Node.DriverInternalInfo[keyEpoch] = m
}

// markEpoch writes this run into a node whose flow goes on, and takes everything private from one that is at rest. What
// remains there is the request that a flow was begun by on another worker: that one has it in its inbox still, and must not
// run it again when it comes back.
func (t *task) markEpoch() {
	info := t.Node.DriverInternalInfo
	if t.underWay() {
		t.note(store.Dict{markHost: t.c.cfg.Host, markNumber: int64(t.c.local.Epoch())})
		return
	}
	m := mark(t.Node)
	maps.DeleteFunc(info, func(key string, _ any) bool {
		return strings.HasPrefix(key, privateKeys) && key != keyOwed && key != keyGivenUp
	})
	others := slices.DeleteFunc(markedRequests(m), func(r store.Dict) bool { return strings.EqualFold(r.String(markOrigin), t.c.cfg.Host) })
	if len(others) > 0 {
		kept := others[0].Clone()
		if len(others) > 1 {
			kept[markEarlier] = anyList(others[1:])
		}
		info[keyEpoch] = kept
	}
}

// markedRequests are the requests that a mark tells of, the last one first.
func markedRequests(m store.Dict) []store.Dict {
	var all []store.Dict
	if m.String(markCall) != "" {
		all = append(all, store.Dict{markCall: m[markCall], markOrigin: m[markOrigin]})
	}
	return append(all, dictList(m.List(markEarlier))...)
}

func (t *task) underWay() bool {
	holds := []string{store.DeployHold, store.CleanHold, store.ServiceHold}
	return store.Unstable(t.Node.ProvisionState) || slices.Contains(holds, t.Node.ProvisionState)
}

// runName names this run of the worker.
func (c *Conductor) runName() string { return fmt.Sprintf("%s/%d", c.cfg.Host, c.local.Epoch()) }

// markedBy tells that the node's flow is that of a host.
func markedBy(n *store.Node, host string) bool {
	h := mark(n).String(markHost)
	return h != "" && strings.EqualFold(h, host)
}
