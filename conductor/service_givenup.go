package conductor

import (
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

const serviceTimedOut = "Timeout reached while servicing the node. "

// serviceTimeout is what the user reads of a servicing whose agent was not heard of in time.
func serviceTimeout(n *store.Node) string {
	return fmt.Sprintf(serviceTimedOut+"Please check if the ramdisk responsible for the servicing is running on the node. "+
		"Failed on step %s.", store.PythonRepr(n.ServiceStep))
}

// keyGivenUp tells, in driver_internal_info, that a servicing or a deployment was given up and that nobody has left the node in order
// yet: its state is that of a node at rest.
const keyGivenUp = "ironmaster_given_up"

// leftService tells that a servicing has come to nothing, and that nobody has left the node in order. A node that has failed by an
// abort of 29.0 keeps its step for good, so that is not enough to tell.
func leftService(n *store.Node) bool {
	switch n.ProvisionState {
	case store.ServiceFail:
		return len(n.ServiceStep) > 0 &&
			(strings.HasPrefix(n.LastError, abortedBegins) || strings.HasPrefix(n.LastError, serviceTimedOut))
	case store.Active:
		return n.DriverInternalInfo.Bool(keyGivenUp, false)
	}
	return false
}
