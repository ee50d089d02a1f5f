package drivers

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/store"
)

// Network connects a node's ports to the networks that its flows need: one for each kind of ramdisk, and those of its tenant. Adding
// what is there already and removing what is gone is no error, so a flow that goes on after a crash calls the same again.
//
// Failures are NetworkError, and InvalidParameterValue or MissingParameterValue when a network is not configured.
type Network interface {
	Interface
	// ValidateRescue and ValidateInspection check what Validate does not: that there is a network for the ramdisk. A node
	// that can't be inspected on a network of its own is UnsupportedDriverExtension.
	ValidateRescue(ctx context.Context, t *Task) error
	ValidateInspection(ctx context.Context, t *Task) error

	AddProvisioningNetwork(ctx context.Context, t *Task) error
	RemoveProvisioningNetwork(ctx context.Context, t *Task) error
	AddCleaningNetwork(ctx context.Context, t *Task) error
	RemoveCleaningNetwork(ctx context.Context, t *Task) error
	AddRescuingNetwork(ctx context.Context, t *Task) error
	RemoveRescuingNetwork(ctx context.Context, t *Task) error
	AddInspectionNetwork(ctx context.Context, t *Task) error
	RemoveInspectionNetwork(ctx context.Context, t *Task) error
	AddServicingNetwork(ctx context.Context, t *Task) error
	RemoveServicingNetwork(ctx context.Context, t *Task) error
	ConfigureTenantNetworks(ctx context.Context, t *Task) error
	UnconfigureTenantNetworks(ctx context.Context, t *Task) error

	// PortChanged and PortgroupChanged are told of what is about to be saved; old is its row as it was. A refusal is Conflict,
	// FailedToUpdateMacOnPort or FailedToUpdateDHCPOptOnPort.
	PortChanged(ctx context.Context, t *Task, port, old *store.Port) error
	PortgroupChanged(ctx context.Context, t *Task, group, old *store.Portgroup) error

	// VIFAttach gives a virtual interface to one of the node's ports. Refusals are VifAlreadyAttached, NoFreePhysicalPorts,
	// VifInvalidForAttach and PortgroupPhysnetInconsistent.
	VIFAttach(ctx context.Context, t *Task, vif VIF) error
	// VIFDetach takes a virtual interface away; one that is not there is VifNotAttached.
	VIFDetach(ctx context.Context, t *Task, id string) error
	// VIFList returns the ids of the node's virtual interfaces.
	VIFList(ctx context.Context, t *Task) ([]string, error)
	// CurrentVIF returns the Neutron port by which a port or port group with this internal_info is connected at present, of
	// whatever network; "" when it is not.
	CurrentVIF(internalInfo store.Dict) string

	// NetworkData is what a machine that boots without DHCP is told of its networks, in the layout of Nova's
	// network_data.json.
	NetworkData(ctx context.Context, t *Task) (store.Dict, error)
}

// ConnectedMAC is the MAC address of the first of the node's ports that is connected, "" when none is.
func ConnectedMAC(ctx context.Context, t *Task) (string, error) {
	ports, err := t.Worker.Ports(ctx, t)
	if err != nil {
		return "", fmt.Errorf("reading the node's ports: %w", err)
	}
	for _, p := range ports {
		if t.Hardware.Network.CurrentVIF(p.InternalInfo) != "" {
			return p.Address, nil
		}
	}
	return "", nil
}

// VIF is a virtual interface that is to be attached: in practice a Neutron port.
type VIF struct {
	ID string
	// Port or Portgroup is the UUID of the one that it has to be; "" leaves the choice.
	Port, Portgroup string
	// Name, nil for one that nobody told, and Tags are for rules that choose.
	Name *string
	Tags []string
}
