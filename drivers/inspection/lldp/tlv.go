// Package lldp reads what switches tell of themselves by the Link Layer Discovery Protocol (IEEE 802.1AB), with the extensions of
// 802.1Q and 802.3. Its input are the bytes of TLVs, which any machine on the wire may have sent.
package lldp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"unicode/utf8"
)

// Type is the type of a TLV.
type Type int

// The types of 802.1AB that are read.
const (
	End                Type = 0
	ChassisID          Type = 1
	PortID             Type = 2
	TTL                Type = 3
	PortDescription    Type = 4
	SystemName         Type = 5
	SystemDescription  Type = 6
	SystemCapabilities Type = 7
	ManagementAddress  Type = 8
	OrgSpecific        Type = 127
)

// MaxValue is the length in bytes that a TLV's value may have.
const MaxValue = 511

// TLV is one statement of a switch.
type TLV struct {
	Type  Type
	Value []byte
}

// Errors of values that break the format.
var (
	errShort = errors.New("the value is too short")
	errUTF8  = errors.New("the text is no UTF-8")
	errLong  = fmt.Errorf("the value is longer than %d bytes", MaxValue)
)

// Identifier names a chassis or a port. Value is nil where the kind of name, or of address, is not known.
type Identifier struct {
	MAC   bool
	Value *string
}

// The subtypes of identifiers.
var (
	chassisMAC, chassisAddress = byte(4), byte(5)
	chassisTexts               = []byte{1, 2, 3, 6, 7}
	portMAC, portAddress       = byte(3), byte(4)
	portTexts                  = []byte{1, 2, 5, 7}
)

// ReadChassisID reads the value of a ChassisID.
func ReadChassisID(value []byte) (Identifier, error) {
	return identifier(value, chassisMAC, chassisAddress, chassisTexts)
}

// ReadPortID reads the value of a PortID.
func ReadPortID(value []byte) (Identifier, error) {
	return identifier(value, portMAC, portAddress, portTexts)
}

func identifier(value []byte, mac, address byte, texts []byte) (Identifier, error) {
	if len(value) == 0 {
		return Identifier{}, errShort
	}
	subtype, rest := value[0], value[1:]
	switch {
	case subtype == mac:
		text, err := readMAC(rest)
		return Identifier{MAC: true, Value: &text}, err
	case subtype == address:
		text, err := readAddress(rest)
		return Identifier{Value: text}, err
	}
	for _, known := range texts {
		if subtype == known {
			text, err := ReadText(rest)
			return Identifier{Value: &text}, err
		}
	}
	return Identifier{}, nil
}

// ReadText reads a value that is a text, such as that of a SystemName.
func ReadText(value []byte) (string, error) {
	if !utf8.Valid(value) {
		return "", errUTF8
	}
	return string(value), nil
}

func readMAC(value []byte) (string, error) {
	if len(value) < 6 {
		return "", errShort
	}
	return net.HardwareAddr(value[:6]).String(), nil
}

// The address families of IANA that are read.
const (
	familyIPv4 = 1
	familyIPv6 = 2
	familyMAC  = 6
)

// readAddress reads an address after its family; nil stands for one of another family.
func readAddress(value []byte) (*string, error) {
	if len(value) == 0 {
		return nil, errShort
	}
	family, rest := value[0], value[1:]
	size := map[byte]int{familyIPv4: 4, familyIPv6: 16, familyMAC: 6}[family]
	if len(rest) < size {
		return nil, errShort
	}
	switch family {
	case familyMAC:
		text, err := readMAC(rest)
		return &text, err
	case familyIPv4, familyIPv6:
		address, _ := netip.AddrFromSlice(rest[:size])
		text := address.String()
		return &text, nil
	}
	return nil, nil
}

// number reads a whole number in network order from the start of a value.
func number(value []byte) (int64, error) {
	if len(value) < 2 {
		return 0, errShort
	}
	return int64(binary.BigEndian.Uint16(value)), nil
}
