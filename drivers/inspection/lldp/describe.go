package lldp

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/ironmaster/ironmaster/store"
)

// The organisations whose TLVs are read (802.1AB's OUIs).
const (
	org8021 = "0080c2"
	org8023 = "00120f"
)

// Describe makes names and values of what a switch told, as ironic's hook parse-lldp names them (lldp_parsers.py). A TLV that cannot
// be read is left out, and its reason is among the problems. Of two that say the same thing the first counts; where there may be
// several, such as VLANs, they are listed.
func Describe(tlvs []TLV) (described store.Dict, problems []error) {
	d := description{store.Dict{}}
	for _, one := range tlvs {
		if err := d.add(one); err != nil {
			problems = append(problems, fmt.Errorf("TLV of type %d: %w", one.Type, err))
		}
	}
	return d.values, problems
}

type description struct{ values store.Dict }

func (d description) set(name string, value any) {
	if _, known := d.values[name]; !known {
		d.values[name] = value
	}
}

func (d description) list(name string, value any) {
	d.values[name] = append(d.values.List(name), value)
}

func (d description) add(t TLV) error {
	switch {
	case t.Type == TTL || t.Type == End:
		return nil
	case len(t.Value) > MaxValue:
		return errLong
	}
	switch t.Type {
	case ChassisID:
		return d.identifier("switch_chassis_id", t.Value, ReadChassisID)
	case PortID:
		return d.identifier("switch_port_id", t.Value, ReadPortID)
	case PortDescription:
		return d.text("switch_port_description", t.Value)
	case SystemName:
		return d.text("switch_system_name", t.Value)
	case SystemDescription:
		return d.text("switch_system_description", t.Value)
	case SystemCapabilities:
		return d.capabilities(t.Value)
	case ManagementAddress:
		return d.managementAddress(t.Value)
	case OrgSpecific:
		return d.organisation(t.Value)
	}
	return nil
}

func (d description) identifier(name string, value []byte, read func([]byte) (Identifier, error)) error {
	id, err := read(value)
	if err != nil {
		return err
	}
	var shown any
	if id.Value != nil {
		shown = *id.Value
	}
	d.set(name, shown)
	return nil
}

func (d description) text(name string, value []byte) error {
	text, err := ReadText(value)
	if err == nil {
		d.set(name, text)
	}
	return err
}

func (d description) number(name string, value []byte) error {
	n, err := number(value)
	if err == nil {
		d.set(name, n)
	}
	return err
}

// systemCapabilities are the names of the bits of a bridge's capabilities, from the second lowest on.
var systemCapabilities = []string{"Repeater", "Bridge", "WLAN", "Router", "Telephone", "DOCSIS cable device", "Station only", "C-Vlan",
	"S-Vlan", "TPMR"}

func (d description) capabilities(value []byte) error {
	if len(value) != 4 {
		return fmt.Errorf("the capabilities have %d bytes and not 4", len(value))
	}
	for i, name := range []string{"switch_capabilities_support", "switch_capabilities_enabled"} {
		bits, has := binary.BigEndian.Uint16(value[2*i:]), []any{}
		for bit, capability := range systemCapabilities {
			if bits>>(bit+1)&1 == 1 {
				has = append(has, capability)
			}
		}
		d.set(name, has)
	}
	return nil
}

func (d description) managementAddress(value []byte) error {
	if len(value) < 2 {
		return errShort
	}
	// The first byte is the length of what follows, which the family tells too.
	address, err := readAddress(value[1:])
	if err == nil && address != nil {
		d.list("switch_mgmt_addresses", *address)
	}
	return err
}

func (d description) organisation(value []byte) error {
	if len(value) < 4 {
		return errShort
	}
	subtype, rest := value[3], value[4:]
	switch oui := hex.EncodeToString(value[:3]); oui {
	case org8021:
		return d.add8021(subtype, rest)
	case org8023:
		return d.add8023(subtype, rest)
	default:
		return fmt.Errorf("the organisation %s is not known", oui)
	}
}
