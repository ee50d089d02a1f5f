package neutron

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/neutron/traitnet"
	"github.com/ironmaster/ironmaster/store"
)

// TraitRules are how ports are chosen by the traits that an instance asks for.
type TraitRules struct {
	Source *traitnet.Source
	// Default lets rules of their own go for nodes whose instance asks for no trait that has some.
	Default bool
	// MustMatch makes it an error that no rule finds a port; else nothing is attached.
	MustMatch bool
}

// attachByTraits attaches a virtual interface as the rules want it, which may be to several ports.
func (b *base) attachByTraits(ctx context.Context, t *drivers.Task, w wiring, vif drivers.VIF) error {
	traits := b.cfg.Traits.applicable(t)
	if len(traits) == 0 {
		return b.cfg.Traits.unmatched(t, vif, store.Errorf(store.TBNNoTraitsApplicableToNode,
			"No Trait Based Networking traits were found which could apply to the node %s.", t.Node.UUID))
	}
	ports, groups := w.freeFor(vif.ID)
	steps, err := traitnet.Plan(traits, ports, groups, traitnet.Network{ID: vif.ID, Name: vif.Name, Tags: vif.Tags})
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		// ironic has a better text for it and mistypes the name under which it would be found.
		return b.cfg.Traits.unmatched(t, vif, store.Errorf(store.TBNNoPortMatchesFound, "An unknown exception occurred."))
	}
	for _, step := range steps {
		c := w.named(step.Members[0])
		if step.Group {
			if c.group, err = w.grouped(ctx, t, step.Members, vif.ID); err != nil {
				return err
			}
			c.port = nil
		}
		if err := b.attachTo(ctx, t, w, c, vif); err != nil {
			return err
		}
	}
	return nil
}

// applicable are the rules of the traits that the node's instance asks for, or else those by default.
func (r *TraitRules) applicable(t *drivers.Task) []traitnet.Trait {
	all := r.Source.Traits(t.Log)
	asked := t.Node.InstanceInfo.List("traits")
	named := func(name string) func(traitnet.Trait) bool {
		return func(trait traitnet.Trait) bool { return trait.Name == name }
	}
	found := slices.DeleteFunc(slices.Clone(all), func(trait traitnet.Trait) bool { return !slices.Contains(asked, any(trait.Name)) })
	if len(found) > 0 || !r.Default {
		return found
	}
	if i := slices.IndexFunc(all, named(traitnet.DefaultTrait)); i >= 0 {
		return all[i : i+1]
	}
	return []traitnet.Trait{traitnet.Default()}
}

// unmatched is err when that nothing was found is to be one.
func (r *TraitRules) unmatched(t *drivers.Task, vif drivers.VIF, err error) error {
	if r.MustMatch {
		return err
	}
	t.Log.Warn().Err(err).Str("vif", vif.ID).Msg("A virtual interface is not attached to anything")
	return nil
}

// freeFor are the ports and port groups without a virtual interface of a tenant, or with this one: an attempt that was cut off between
// two of its attachments finds what it had chosen.
func (w wiring) freeFor(vif string) (ports, groups []traitnet.Candidate) {
	for _, c := range w.all() {
		if attached := c.vif(); attached != "" && attached != vif {
			continue
		}
		candidate := traitnet.Candidate{UUID: c.uuid(), Group: c.group != nil, PhysicalNetwork: c.physicalNetwork()}
		if mac := c.address(); mac != "" {
			candidate.Address = &mac
		}
		if g := c.group; g != nil {
			candidate.ID, candidate.Category = g.ID, g.Category
			groups = append(groups, candidate)
			continue
		}
		p := c.port
		candidate.ID, candidate.Category, candidate.Vendor = p.ID, p.Category, p.Vendor
		candidate.Groupable = p.DynamicPortgroup == nil || *p.DynamicPortgroup
		ports = append(ports, candidate)
	}
	return ports, groups
}

// named is the port or port group with a UUID.
func (w wiring) named(uuid string) connector {
	all := w.all()
	return all[slices.IndexFunc(all, func(c connector) bool { return c.uuid() == uuid })]
}

// dynamic tells that it is a port group that lasts only as long as its virtual interface.
func (c connector) dynamic() bool {
	return c.group != nil && c.group.DynamicPortgroup != nil && *c.group.DynamicPortgroup
}

// grouped puts ports into a port group of their own. Between its row and those of its ports, and before or after it has its virtual
// interface, this may be cut off, or fail: the next attempt takes what it finds then and goes on.
func (w wiring) grouped(ctx context.Context, t *drivers.Task, uuids []string, vif string) (*store.Portgroup, error) {
	ports := make([]*store.Port, len(uuids))
	for i, uuid := range uuids {
		ports[i] = w.named(uuid).port
	}
	group, err := w.leftGroup(uuids, vif), error(nil)
	if group == nil {
		if group, err = createDynamic(ctx, t, ports[0].PhysicalNetwork); err != nil {
			return nil, err
		}
	}
	for _, p := range ports {
		p.PortgroupID = &group.ID
		if err := t.Worker.SavePort(ctx, t, p); err != nil {
			return nil, fmt.Errorf("putting port %s into port group %s: %w", p.UUID, group.UUID, err)
		}
	}
	return group, nil
}

// leftGroup is the port group of an attempt that came to no end: a dynamic one without another virtual interface or other ports than
// these.
func (w wiring) leftGroup(uuids []string, vif string) *store.Portgroup {
	for _, c := range w.asGroups() {
		others := slices.ContainsFunc(w.members(c.group), func(p *store.Port) bool { return !slices.Contains(uuids, p.UUID) })
		if c.dynamic() && (c.vif() == "" || c.vif() == vif) && !others {
			return c.group
		}
	}
	return nil
}

// nameAttempts is how often another name is tried when one is taken.
const nameAttempts = 3

func createDynamic(ctx context.Context, t *drivers.Task, network *string) (*store.Portgroup, error) {
	for range nameAttempts {
		name, dynamic := "tbn_dyn_portgroup_"+rand.Text()[:8], true
		group := &store.Portgroup{Name: &name, PhysicalNetwork: network, DynamicPortgroup: &dynamic}
		err := t.Worker.CreatePortgroup(ctx, t, group)
		if err == nil {
			return group, nil
		}
		if store.KindOf(err) != store.PortgroupDuplicateName {
			return nil, networkError("Could not create dynamic portgroup. %w", err)
		}
	}
	return nil, networkError("Could not create dynamic portgroup due to duplicate name collisions despite several retries.")
}

// dissolve lets the ports of a dynamic port group go and deletes it, and with it what it knew of its virtual interface. One that was
// cut off before finds the group again.
func (w wiring) dissolve(ctx context.Context, t *drivers.Task, g *store.Portgroup) error {
	for _, p := range w.members(g) {
		p.PortgroupID = nil
		if err := t.Worker.SavePort(ctx, t, p); err != nil {
			return fmt.Errorf("taking port %s out of port group %s: %w", p.UUID, g.UUID, err)
		}
	}
	err := t.Worker.DestroyPortgroup(ctx, t, g)
	if err != nil && !errors.Is(err, store.ErrLockLost) {
		return fmt.Errorf("deleting port group %s: %w", g.UUID, err)
	}
	return err
}
