package lldp

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func bytesOf(t testing.TB, digits string) []byte {
	t.Helper()
	value, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// spoken is what a switch may tell. testdata/described.json is what ironic 29.0 makes of it.
var spoken = []struct {
	kind   Type
	digits string
}{{1, "04885a92ec5459"}, {2, "0545746865726e6574312f3138"}, {3, "0078"}, {4, "ge-1/0/18"}, {5, "737730312d646973742d31622d623132"},
	{7, "00140014"}, {8, "0501c000020002000000000000"}, {8, "110220010db8000000000000000000000001"}, {8, "0706885a92ec5460"},
	{127, "0080c2010064"}, {127, "0080c202060065"}, {127, "0080c20300650576776c616e"}, {127, "0080c204028906"}, {127, "0080c2060003"},
	{127, "0080c20703000000ff"}, {127, "00120f01036c110010"}, {127, "00120f0405dc"}, {0, ""}}

func told(t testing.TB) []TLV {
	var all []TLV
	for _, one := range spoken {
		value := []byte(one.digits)
		if one.kind != PortDescription {
			value = bytesOf(t, one.digits)
		}
		all = append(all, TLV{one.kind, value})
	}
	return all
}

func TestDescribe(t *testing.T) {
	described, problems := Describe(told(t))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	got, err := store.AppendJSON(nil, described)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "described.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, bytes.TrimSpace(want)) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestValuesThatBreakTheFormat(t *testing.T) {
	for name, tlv := range map[string]TLV{
		"no chassis subtype":     {ChassisID, nil},
		"short MAC":              {ChassisID, bytesOf(t, "04885a92ec54")},
		"short IPv6":             {PortID, bytesOf(t, "040220010db8")},
		"no address family":      {PortID, bytesOf(t, "04")},
		"text in Latin 1":        {SystemName, []byte("gr\xfcn")},
		"too long":               {SystemDescription, bytes.Repeat([]byte("x"), MaxValue+1)},
		"half capabilities":      {SystemCapabilities, bytesOf(t, "0014")},
		"short address":          {ManagementAddress, bytesOf(t, "0501c000")},
		"no organisation":        {OrgSpecific, bytesOf(t, "0080")},
		"unknown organisation":   {OrgSpecific, bytesOf(t, "00000001")},
		"half a VLAN":            {OrgSpecific, bytesOf(t, "0080c20101")},
		"VLAN name beyond end":   {OrgSpecific, bytesOf(t, "0080c2030065ff7677")},
		"identity beyond end":    {OrgSpecific, bytesOf(t, "0080c204ff89")},
		"short aggregation":      {OrgSpecific, bytesOf(t, "0080c20703")},
		"unknown MAU":            {OrgSpecific, bytesOf(t, "00120f01036c11ffff")},
		"long MAC/PHY":           {OrgSpecific, bytesOf(t, "00120f01036c11001000")},
		"protocol VLAN too long": {OrgSpecific, bytesOf(t, "0080c20206006500")},
	} {
		described, problems := Describe([]TLV{tlv, {PortDescription, []byte("next")}})
		if len(problems) != 1 || len(described) != 1 || described["switch_port_description"] != "next" {
			t.Errorf("%s: %v, problems %v", name, described, problems)
		}
	}
}

// A length of 255 is as good as any.
func TestALongProtocolIdentity(t *testing.T) {
	described, problems := Describe([]TLV{{OrgSpecific, append(bytesOf(t, "0080c204ff"), bytes.Repeat([]byte{0x88}, 255)...)}})
	identities := described.List("switch_protocol_identities")
	if len(problems) != 0 || len(identities) != 1 || identities[0] != strings.Repeat("88", 255) {
		t.Errorf("%v, problems %v", described, problems)
	}
}

func TestIdentifiers(t *testing.T) {
	text := func(s string) *string { return &s }
	for name, c := range map[string]struct {
		read   func([]byte) (Identifier, error)
		digits string
		want   Identifier
	}{
		"chassis MAC":             {ReadChassisID, "04885a92ec5459", Identifier{true, text("88:5a:92:ec:54:59")}},
		"chassis name":            {ReadChassisID, "06656e6f31", Identifier{false, text("eno1")}},
		"chassis IPv4":            {ReadChassisID, "0501c0000201", Identifier{false, text("192.0.2.1")}},
		"chassis, unknown kind":   {ReadChassisID, "2a00", Identifier{}},
		"chassis, unknown family": {ReadChassisID, "050f00", Identifier{}},
		"port MAC":                {ReadPortID, "03885a92ec5459ff", Identifier{true, text("88:5a:92:ec:54:59")}},
		"port name":               {ReadPortID, "05", Identifier{false, text("")}},
		"port, unknown kind":      {ReadPortID, "06656e6f31", Identifier{}},
	} {
		got, err := c.read(bytesOf(t, c.digits))
		switch {
		case err != nil || got.MAC != c.want.MAC || (got.Value == nil) != (c.want.Value == nil):
			t.Errorf("%s: %v, %v", name, got, err)
		case got.Value != nil && *got.Value != *c.want.Value:
			t.Errorf("%s: %q, want %q", name, *got.Value, *c.want.Value)
		}
	}
}

// Whatever is on the wire is described or refused, and what is described can be stored.
func FuzzDescribe(f *testing.F) {
	for _, one := range told(f) {
		f.Add(int(one.Type), one.Value)
	}
	f.Add(int(OrgSpecific), append(bytesOf(f, "0080c204ff"), make([]byte, 255)...))
	f.Fuzz(func(t *testing.T, kind int, value []byte) {
		described, problems := Describe([]TLV{{Type(kind), value}})
		if len(problems) > 0 && len(described) > 0 {
			t.Errorf("one TLV is both described (%v) and refused (%v)", described, problems)
		}
		if _, err := store.AppendJSON(nil, described); err != nil {
			t.Error(err)
		}
	})
}
