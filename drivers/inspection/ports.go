package inspection

import (
	"context"
	"slices"

	"github.com/ironmaster/ironmaster/store"
)

// updatePorts gives cards their ports, and makes the node's ports fit what was found.
func updatePorts(ctx context.Context, w *work) error {
	all, valid := w.plugin.Dict(keyAllInterfaces), w.plugin.Dict(keyValidInterfaces)
	if w.cfg.AddPorts != AddDisabled {
		for _, name := range w.inOrder(valid) {
			card := valid.Dict(name)
			mac, _ := NormalMAC(card.String("mac_address"))
			p := &store.Port{Address: mac, PXEEnabled: new(card.Bool("pxe_enabled", false)), Extra: store.Dict{}}
			if id := card["client_id"]; id != nil && id != "" {
				p.Extra["client-id"] = id
			}
			if err := createPort(ctx, w.Task, w.keep, p); err != nil {
				return err
			}
		}
	}
	found := map[string]store.Dict{}
	// Cards of a bond share an address: the last one counts.
	for _, name := range w.inOrder(all) {
		if mac, ok := NormalMAC(all.Dict(name).String("mac_address")); ok {
			found[mac] = all.Dict(name)
		}
	}
	ports, err := w.Worker.Ports(ctx, w.Task)
	if err != nil {
		return err
	}
	expected := w.expected(found)
	for _, p := range ports {
		if expected != nil && !expected[p.Address] {
			w.Log.Info().Str("port", p.UUID).Str("address", p.Address).Msg("A port is removed whose network card was not found")
			if err := w.keep.DestroyPort(ctx, p); err != nil {
				return err
			}
			continue
		}
		if err := w.fit(ctx, p, found[p.Address]); err != nil {
			return err
		}
	}
	return nil
}

// inOrder are the names of cards in the order in which they were found.
func (w *work) inOrder(cards store.Dict) []string {
	var names []string
	for _, item := range w.inventory.List("interfaces") {
		name := dictOf(item).String("name")
		if _, wanted := cards[name]; wanted && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// expected are the addresses whose ports stay; nil keeps all.
func (w *work) expected(found map[string]store.Dict) map[string]bool {
	out := map[string]bool{}
	switch w.cfg.KeepPorts {
	case KeepPresent:
		for mac := range found {
			out[mac] = true
		}
	case KeepAdded:
		for _, v := range w.plugin.List(keyMACs) {
			text, _ := v.(string)
			if mac, ok := NormalMAC(text); ok {
				out[mac] = true
			}
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// fit writes what was found of a port's card into it. card is nil for one that was not found.
func (w *work) fit(ctx context.Context, p *store.Port, card store.Dict) error {
	if booted := card.Bool("pxe_enabled", false); w.cfg.UpdatePXEEnabled && (p.PXEEnabled == nil || *p.PXEEnabled != booted) {
		p.PXEEnabled = &booted
	}
	if id := card["client_id"]; w.cfg.Differences.ClientIDs && id != nil && id != "" && id != p.Extra["client-id"] {
		p.Extra = p.Extra.Clone()
		if p.Extra == nil {
			p.Extra = store.Dict{}
		}
		p.Extra["client-id"] = id
	}
	return w.Worker.SavePort(ctx, w.Task, p)
}
