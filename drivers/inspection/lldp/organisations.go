package lldp

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// add8021 reads what 802.1Q (annex D) says of VLANs and bonds. Other subtypes say nothing.
func (d description) add8021(subtype byte, value []byte) error {
	switch subtype {
	case 1:
		return d.number("switch_port_untagged_vlan_id", value)
	case 2:
		if len(value) != 3 {
			return fmt.Errorf("the port and protocol VLAN has %d bytes and not 3", len(value))
		}
		d.set("switch_port_protocol_vlan_enabled", value[0]>>2&1 == 1)
		d.set("switch_port_protocol_vlan_support", value[0]>>1&1 == 1)
		d.list("switch_port_protocol_vlan_ids", int64(binary.BigEndian.Uint16(value[1:])))
	case 3:
		return d.vlan(value)
	case 4:
		if len(value) == 0 || len(value) < 1+int(value[0]) {
			return errShort
		}
		d.list("switch_protocol_identities", hex.EncodeToString(value[1:1+int(value[0])]))
	case 6:
		return d.number("switch_port_management_vlan_id", value)
	case 7:
		return d.aggregation(value)
	}
	return nil
}

func (d description) vlan(value []byte) error {
	if len(value) < 3 || len(value) < 3+int(value[2]) {
		return errShort
	}
	name, err := ReadText(value[3 : 3+int(value[2])])
	if err == nil {
		d.list("switch_port_vlans", store.Dict{"id": int64(binary.BigEndian.Uint16(value)), "name": strings.TrimRight(name, "\x00")})
	}
	return err
}

// aggregation reads of bonds, which 802.3 once told, and 802.1 since.
func (d description) aggregation(value []byte) error {
	if len(value) != 5 {
		return fmt.Errorf("the link aggregation has %d bytes and not 5", len(value))
	}
	d.set("switch_port_link_aggregation_enabled", value[0]>>1&1 == 1)
	d.set("switch_port_link_aggregation_support", value[0]&1 == 1)
	d.set("switch_port_link_aggregation_id", int64(binary.BigEndian.Uint32(value[1:])))
	return nil
}

// add8023 reads what 802.3 (clause 79) says of the physical layer. Other subtypes say nothing.
func (d description) add8023(subtype byte, value []byte) error {
	switch subtype {
	case 1:
		return d.physical(value)
	case 3:
		return d.aggregation(value)
	case 4:
		return d.number("switch_port_mtu", value)
	}
	return nil
}

// negotiable are the names of the bits of IANAifMauAutoNegCapBits, from the second highest on. ironic reads both kinds of 10BASE-T from
// the first of their bits.
var negotiable = []struct {
	bit  int
	name string
}{{14, "10BASE-T hdx"}, {14, "10BASE-T fdx"}, {12, "10BASE-T4"}, {11, "100BASE-TX hdx"}, {10, "100BASE-TX fdx"}, {9, "100BASE-T2 hdx"},
	{8, "100BASE-T2 fdx"}, {7, "PAUSE fdx"}, {6, "Asym PAUSE fdx"}, {5, "Sym PAUSE fdx"}, {4, "Asym and Sym PAUSE fdx"},
	{3, "1000BASE-X hdx"}, {2, "1000BASE-X fdx"}, {1, "1000BASE-T hdx"}, {0, "1000BASE-T fdx"}}

func (d description) physical(value []byte) error {
	if len(value) != 5 {
		return fmt.Errorf("the MAC/PHY configuration has %d bytes and not 5", len(value))
	}
	mau := int(binary.BigEndian.Uint16(value[3:]))
	if mau >= len(mauTypes) {
		return errors.New("the MAU type is not known")
	}
	var names []string
	bits := binary.BigEndian.Uint16(value[1:])
	for _, n := range negotiable {
		if bits>>n.bit&1 == 1 {
			names = append(names, n.name)
		}
	}
	slices.Sort(names)
	able := []any{}
	for _, name := range names {
		able = append(able, name)
	}
	d.set("switch_port_autonegotiation_enabled", value[0]>>1&1 == 1)
	d.set("switch_port_autonegotiation_support", value[0]&1 == 1)
	d.set("switch_port_physical_capabilities", able)
	d.set("switch_port_mau_type", mauTypes[mau])
	return nil
}

// mauTypes are the names of the operational MAU types, by number (ifMauTypeList, RFC 4836).
var mauTypes = []string{"Unknown", "AUI", "10BASE-5", "FOIRL", "10BASE-2", "10BASE-T duplex mode unknown", "10BASE-FP", "10BASE-FB",
	"10BASE-FL duplex mode unknown", "10BROAD36", "10BASE-T half duplex", "10BASE-T full duplex", "10BASE-FL half duplex",
	"10BASE-FL full duplex", "100 BASE-T4", "100BASE-TX half duplex", "100BASE-TX full duplex", "100BASE-FX half duplex",
	"100BASE-FX full duplex", "100BASE-T2 half duplex", "100BASE-T2 full duplex", "1000BASE-X half duplex", "1000BASE-X full duplex",
	"1000BASE-LX half duplex", "1000BASE-LX full duplex", "1000BASE-SX half duplex", "1000BASE-SX full duplex",
	"1000BASE-CX half duplex", "1000BASE-CX full duplex", "1000BASE-T half duplex", "1000BASE-T full duplex", "10GBASE-X",
	"10GBASE-LX4", "10GBASE-R", "10GBASE-ER", "10GBASE-LR", "10GBASE-SR", "10GBASE-W", "10GBASE-EW", "10GBASE-LW", "10GBASE-SW",
	"10GBASE-CX4", "2BASE-TL", "10PASS-TS", "100BASE-BX10D", "100BASE-BX10U", "100BASE-LX10", "1000BASE-BX10D", "1000BASE-BX10U",
	"1000BASE-LX10", "1000BASE-PX10D", "1000BASE-PX10U", "1000BASE-PX20D", "1000BASE-PX20U"}
