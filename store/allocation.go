package store

import "time"

// Allocation is a request for any node that fits, and the node that it got: one row of the table allocations.
type Allocation struct {
	ID      int64  `field:"id"`
	UUID    string `field:"uuid"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	Name *string `field:"name"`
	// NodeID is nil while no node was found.
	NodeID        *int64  `field:"node_id"`
	State         string  `field:"state"`
	Owner         *string `field:"owner"`
	LastError     string  `field:"last_error"`
	ResourceClass *string `field:"resource_class"`
	// Traits and CandidateNodes narrow the choice; CandidateNodes are UUIDs.
	Traits         []string `field:"traits"`
	CandidateNodes []string `field:"candidate_nodes"`
	Extra          Dict     `field:"extra"`
	// ConductorAffinity is the row of the worker that looks for a node.
	ConductorAffinity *int64 `field:"conductor_affinity"`

	Snapshot Snapshot
}

// The states of an allocation (ironic/common/states.py).
const (
	AllocationAllocating = "allocating"
	AllocationActive     = "active"
	AllocationError      = "error"
)
