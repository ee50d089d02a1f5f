package neutron

import (
	"context"

	"github.com/gophercloud/gophercloud/v2/openstack/networking/v2/extensions/agents"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

const vnicSmartNIC = "smart-nic"

func isSmart(p *store.Port) bool { return p != nil && p.IsSmartNIC != nil && *p.IsSmartNIC }

// host is where the agent of a Smart NIC runs: on the card.
func host(p *store.Port) string { return p.LocalLinkConnection.String("hostname") }

// kindOf is what Neutron has to know of a port to bind it: what it is, and the host of its agent.
func kindOf(t *drivers.Task, p *store.Port) (vnic, at string) {
	if isSmart(p) {
		return vnicSmartNIC, host(p)
	}
	return vnicBareMetal, t.Node.UUID
}

// NeedsPower tells whether the node has Smart NICs.
func (n *Separate) NeedsPower(ctx context.Context, t *drivers.Task) (bool, error) {
	p, err := smartPort(ctx, t)
	return p != nil, err
}

// smartPort is the first of a node's ports that is of a Smart NIC.
func smartPort(ctx context.Context, t *drivers.Task) (*store.Port, error) {
	w, err := wiringOf(ctx, t)
	if err != nil {
		return nil, err
	}
	for _, p := range w.ports {
		if isSmart(p) {
			return p, nil
		}
	}
	return nil, nil
}

// AwaitRestart waits until the agent of the node's first Smart NIC is down.
func (n *Separate) AwaitRestart(ctx context.Context, t *drivers.Task) error {
	p, err := smartPort(ctx, t)
	if err != nil || p == nil || host(p) == "" {
		return err
	}
	return n.awaitAgent(ctx, t, host(p), false)
}

// Settle waits for two of the rounds in which agents look what there is to do.
func (n *Separate) Settle(ctx context.Context) error { return drivers.Pause(ctx, 2*n.cfg.AgentPoll) }

// awaitAgent waits until the agents on a host are alive, or none of them is. Neutron tells of agents only to administrators, such as
// this service.
func (b *base) awaitAgent(ctx context.Context, t *drivers.Task, host string, alive bool) error {
	if host == "" {
		// Neutron would tell of all agents that there are.
		return networkError("A Smart NIC's port has no hostname in its local_link_connection")
	}
	s, err := b.client.AsService(ctx, t)
	if err != nil {
		return err
	}
	wanted := "down"
	if alive {
		wanted = "up"
	}
	for left := b.cfg.StatusAttempts; ; left-- {
		is, err := s.agentAlive(ctx, host)
		switch {
		case err == nil && is == alive:
			return nil
		case left > 1:
		case err != nil:
			return networkError("Failed to contact Neutron server: %w", err)
		default:
			return networkError("Agent on host %s failed to reach state %s", host, wanted)
		}
		if err := drivers.Pause(ctx, b.cfg.StatusInterval); err != nil {
			return err
		}
	}
}

// agentAlive tells whether one of the agents on a host is.
func (s *Session) agentAlive(ctx context.Context, host string) (alive bool, err error) {
	err = s.try(ctx, func(ctx context.Context) error {
		pages, err := agents.List(s.api, agents.ListOpts{Host: host}).AllPages(ctx)
		if err != nil {
			return err
		}
		found, err := agents.ExtractAgents(pages)
		if err != nil {
			return err
		}
		alive = false
		for _, a := range found {
			alive = alive || a.Alive
		}
		return nil
	})
	return alive, err
}

var _ drivers.PoweredNetwork = (*Separate)(nil)
