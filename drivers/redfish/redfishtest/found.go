package redfishtest

import (
	"context"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Found keeps what an inspection finds, and is the worker whose node has the ports.
type Found struct {
	*Worker
	// Created are the ports.
	Created           []*store.Port
	Inventory, Plugin store.Dict
}

// NewFound returns one to which nothing was told yet.
func NewFound() *Found { return &Found{Worker: NewWorker()} }

// CreatePort refuses an address that a port has.
func (f *Found) CreatePort(_ context.Context, p *store.Port) error {
	if slices.ContainsFunc(f.Created, func(o *store.Port) bool { return o.Address == p.Address }) {
		return store.Errorf(store.MACAlreadyExists, "there already")
	}
	f.Created = append(f.Created, p)
	return nil
}

// DestroyPort does nothing.
func (*Found) DestroyPort(context.Context, *store.Port) error { return nil }

// LastInventory has nothing from before.
func (*Found) LastInventory(context.Context, int64) (*store.NodeInventory, error) { return nil, nil }

// SaveInventory remembers what was found.
func (f *Found) SaveInventory(_ context.Context, _ int64, inventory, plugin store.Dict) error {
	f.Inventory, f.Plugin = inventory, plugin
	return nil
}

// Ports are those that were created.
func (f *Found) Ports(context.Context, *drivers.Task) ([]*store.Port, error) { return f.Created, nil }

// SavePort does nothing: the port is in memory.
func (*Found) SavePort(context.Context, *drivers.Task, *store.Port) error { return nil }

// Described are the addresses of the ports in one line, with a star behind those that are said to boot their machine.
func (f *Found) Described() string {
	var all []string
	for _, p := range f.Created {
		text := p.Address
		if p.PXEEnabled != nil && *p.PXEEnabled {
			text += "*"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}
