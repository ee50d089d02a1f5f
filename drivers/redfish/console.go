package redfish

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// ConsoleApp is what the console interface redfish-graphical shows: the BMC's own console, in a browser that logs in to it.
type ConsoleApp struct{ bmcs *BMCs }

// NewConsoleApp returns it for the BMCs that a client speaks to.
func NewConsoleApp(c *Client) *ConsoleApp { return &ConsoleApp{c.Plain()} }

// Name is what the container's image knows it by.
func (*ConsoleApp) Name() string { return "redfish-graphical" }

// Properties describes how a node names its BMC.
func (a *ConsoleApp) Properties() map[string]string { return a.bmcs.client.properties() }

// Validate checks driver_info.
func (a *ConsoleApp) Validate(_ context.Context, t *drivers.Task) error {
	return a.bmcs.Validate(t.Node)
}

// Info is what ironic's containers read: how the node names its BMC, with the defaults in. The password is among it.
func (a *ConsoleApp) Info(n *store.Node) (store.Dict, error) {
	if err := a.bmcs.Validate(n); err != nil {
		return nil, err
	}
	to, err := parseDriverInfo(n, a.bmcs.client.cfg)
	if err != nil {
		return nil, err
	}
	info := store.Dict{"address": to.address, "system_id": nil, "username": n.DriverInfo["redfish_username"],
		"password": n.DriverInfo["redfish_password"], "verify_ca": !to.verify.Off, "auth_type": to.auth, "node_uuid": n.UUID}
	if to.systemID != "" {
		info["system_id"] = to.systemID
	}
	if to.verify.Path != "" {
		info["verify_ca"] = to.verify.Path
	}
	if to.prefix != "" {
		info["root_prefix"] = "/" + strings.Trim(to.prefix, "/")
	}
	return info, nil
}
