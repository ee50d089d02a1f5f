package neutron

import (
	"context"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
)

// Config is what the network interfaces need of [neutron], and what ironic's releases do otherwise.
type Config struct {
	Networks
	// SetClientID tells the DHCP provider of a port's client-id; "" takes it back.
	SetClientID func(ctx context.Context, t *drivers.Task, vif, clientID string) error
	// Traits are the rules by which ports are chosen; nil leaves the choice to the physical networks.
	Traits *TraitRules
	Behaviour
}

// Networks are the networks of the ramdisks, by UUID or name, and the security groups of their ports.
type Networks struct {
	Cleaning, Provisioning, Rescuing, Inspection, Servicing Ramdisk
	// AddAllPorts connects the ports as well that are not PXE-enabled, without addresses.
	AddAllPorts bool
	// StatefulAddresses is how many addresses a port gets on a network with DHCPv6.
	StatefulAddresses int
	// FailOnBindingFailure waits for ports to be active, and fails when Neutron can't bind one. Releases before 30.0 don't
	// look.
	FailOnBindingFailure bool
	// AllowDisabledPowerOff takes nodes that are never switched off.
	AllowDisabledPowerOff bool
	// StatusAttempts is how often a port is asked whether it is active, and an agent whether it is alive, StatusInterval what is waited in
	// between.
	StatusAttempts int
	StatusInterval time.Duration
	// AgentPoll is how often the agents of Smart NICs look what there is to do.
	AgentPoll time.Duration
}

// Ramdisk is the network of one kind of ramdisk.
type Ramdisk struct {
	Network        string
	SecurityGroups []string
}

// Behaviour is what one release of ironic does otherwise than 21.4; the comments name the first that does.
type Behaviour struct {
	NamesOptions       bool // 24.1: texts name the options of ironic.conf and driver_info
	BlankTwice         bool // 26.0: before "ports" in a text about a node that has none
	ExplainsInspection bool // 26.1: says why a node can't be inspected on a network of its own
	NameServers        bool // 26.1: network data names DNS servers
	ChecksPowerOff     bool // 28.0: disable_power_off goes with neutron only when the configuration allows it
	SubnetSegments     bool // 29.0: a port's addresses tell the segment that it is on
	FlatMustBind       bool // 29.0: flat fails when there is nothing to bind
	AllPortsUnlessPXE  bool // 30.0: boot interfaces that don't boot from the network use every port
	BindsEarly         bool // 30.0: a virtual interface gets its host when it is attached
	ChecksAsAdmin      bool // 30.0: only administrators have the networks looked for
	ChecksBinding      bool // 30.0
	UnbindsAvailable   bool // 33.0: detaching unbinds on nodes that are available, too
	TellsPhysicalNet   bool // 33.0: the profile names the port's physical network
	AlwaysAsksPhysNets bool // 34.0: physical networks are looked up for every virtual interface
	ActsAsService      bool // 38.0: ports are made and removed with the rights of [neutron]
}
