package ilo

import (
	"context"
	"maps"
	"net"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Console is the console interface ilo: ipmitool-socat with the iLO's address and account.
type Console struct {
	*ipmi.Console
	base
}

// NewConsole returns the console interface ilo. What c knows of iLOs checks how nodes name theirs; i speaks to them.
func NewConsole(c *redfish.Client, i *ipmi.Client, cfg Config) *Console {
	return &Console{Console: ipmi.NewConsoleOf(i, inIPMIWords), base: newBase(c, cfg)}
}

const keyConsolePort = "console_port"

// Properties describes how a node names its iLO and its console's port.
func (*Console) Properties() map[string]string {
	all := maps.Clone(requiredProperties)
	all[keyConsolePort] = "node's UDP port to connect to. Only required for console access."
	return all
}

// Validate checks driver_info. Other than with ipmitool-socat each node has a port of its own.
func (c *Console) Validate(ctx context.Context, t *drivers.Task) error {
	if err := c.bmcs.Validate(t.Node); err != nil {
		return err
	}
	if port, err := consolePort(t.Node); err != nil || port == 0 {
		return store.Errorf(store.MissingParameterValue, "Missing 'console_port' parameter in node's driver_info.")
	}
	return c.Console.Validate(ctx, t)
}

// inIPMIWords is a node's driver_info as the hardware type ipmi has it. ironic writes these keys into the node, password and all.
func inIPMIWords(n *store.Node) store.Dict {
	info := store.Dict{}
	maps.Copy(info, n.DriverInfo)
	for to, from := range map[string]string{"ipmi_username": "ilo_username", "ipmi_password": "ilo_password",
		"ipmi_terminal_port": keyConsolePort} {
		if value, given := info[from]; given {
			info[to] = value
		}
	}
	// What may stand behind the address is the port of Redfish.
	info["ipmi_address"] = n.DriverInfo.String("ilo_address")
	if host, _, err := net.SplitHostPort(n.DriverInfo.String("ilo_address")); err == nil {
		info["ipmi_address"] = host
	}
	return info
}

var _ drivers.Console = (*Console)(nil)
