package inspection

import (
	"context"
	"encoding/hex"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers/inspection/lldp"
	"github.com/ironmaster/ironmaster/store"
)

// frame is what the switch at the other end of a card's cable told.
type frame struct {
	card, address string
	tlvs          []lldp.TLV
	// problems are those of TLVs that could not be taken apart.
	problems []error
}

// frames are the LLDP data of all cards that have any, each a list of type and value in hexadecimal digits.
func (w *work) frames() ([]frame, error) {
	raw := w.plugin.Dict("lldp_raw")
	var all []frame
	for _, item := range w.inventory.List("interfaces") {
		card := dictOf(item)
		name, named := card["name"].(string)
		if !named {
			return nil, absent("name")
		}
		listed := raw.List(name)
		if len(listed) == 0 {
			listed = card.List("lldp")
		}
		if listed == nil {
			w.Log.Warn().Str("card", name).Msg("There is no LLDP data of a network card")
			continue
		}
		f := frame{card: name}
		f.address, _ = NormalMAC(card.String("mac_address"))
		for _, one := range listed {
			tlv, err := tlvOf(one)
			if err != nil {
				f.problems = append(f.problems, err)
				continue
			}
			f.tlvs = append(f.tlvs, tlv)
		}
		all = append(all, f)
	}
	return all, nil
}

func tlvOf(v any) (lldp.TLV, error) {
	pair, _ := v.([]any)
	if len(pair) != 2 {
		return lldp.TLV{}, fmt.Errorf("a TLV is not a pair of type and value")
	}
	kind, known, err := store.Dict{"type": pair[0]}.Int("type")
	if err != nil || !known {
		return lldp.TLV{}, fmt.Errorf("the type of a TLV is not a whole number")
	}
	text, isText := pair[1].(string)
	value, err := hex.DecodeString(text)
	if err != nil || !isText {
		return lldp.TLV{}, fmt.Errorf("the value of a TLV of type %d is not in hexadecimal digits", kind)
	}
	return lldp.TLV{Type: lldp.Type(kind), Value: value}, nil
}

// parseLLDP describes the switches at the cards in "parsed_lldp".
func parseLLDP(_ context.Context, w *work) error {
	all, err := w.frames()
	if err != nil {
		return err
	}
	if most := w.cfg.Differences.MostLLDPCards; most > 0 && len(all) > most {
		w.Log.Warn().Int("cards", len(all)).Int("most", most).Msg("The LLDP data of the last network cards is not read")
		all = all[:most]
	}
	for _, f := range all {
		described, problems := lldp.Describe(f.tlvs)
		for _, problem := range append(f.problems, problems...) {
			w.Log.Warn().Err(problem).Str("card", f.card).Msg("A part of LLDP data is left out")
		}
		if len(described) == 0 {
			continue
		}
		parsed := w.plugin.Dict("parsed_lldp")
		if parsed == nil {
			parsed = store.Dict{}
			w.plugin["parsed_lldp"] = parsed
		}
		parsed[f.card] = described
	}
	return nil
}

// localLinkConnection writes into the ports which port of which switch they are connected to. What a port says already stays.
func localLinkConnection(ctx context.Context, w *work) error {
	all, err := w.frames()
	if err != nil {
		return err
	}
	ports, err := w.Worker.Ports(ctx, w.Task)
	if err != nil {
		return err
	}
	valid, byAddress := w.plugin.Dict(keyAllInterfaces), map[string]*store.Port{}
	for _, p := range ports {
		byAddress[p.Address] = p
	}
	for _, f := range all {
		p := byAddress[f.address]
		if _, known := valid[f.card]; !known || p == nil {
			continue
		}
		link, err := w.link(f)
		if err != nil {
			w.Log.Warn().Err(err).Str("card", f.card).Msg("The LLDP data of a network card cannot be used for its port")
			continue
		}
		p.LocalLinkConnection = p.LocalLinkConnection.Clone()
		if p.LocalLinkConnection == nil {
			p.LocalLinkConnection = store.Dict{}
		}
		for key, value := range link {
			if _, said := p.LocalLinkConnection[key]; !said {
				p.LocalLinkConnection[key] = value
			}
		}
		if err := w.Worker.SavePort(ctx, w.Task, p); err != nil {
			return err
		}
	}
	return nil
}

// link is what a frame tells for a port's local_link_connection. Of two TLVs of a kind the last counts.
func (w *work) link(f frame) (store.Dict, error) {
	if len(f.problems) > 0 {
		return nil, f.problems[0]
	}
	link := store.Dict{}
	for _, tlv := range f.tlvs {
		switch tlv.Type {
		case lldp.PortID:
			id, err := lldp.ReadPortID(tlv.Value)
			if err != nil {
				return nil, fmt.Errorf("port ID: %w", err)
			}
			if id.Value != nil {
				link["port_id"] = *id.Value
			}
		case lldp.ChassisID:
			id, err := lldp.ReadChassisID(tlv.Value)
			if err != nil {
				return nil, fmt.Errorf("chassis ID: %w", err)
			}
			if id.MAC {
				link["switch_id"] = *id.Value
			}
		case lldp.SystemName:
			if !w.cfg.Differences.SwitchInfo {
				continue
			}
			name, err := lldp.ReadText(tlv.Value)
			if err != nil {
				return nil, fmt.Errorf("system name: %w", err)
			}
			link["switch_info"] = name
		}
	}
	return link, nil
}
