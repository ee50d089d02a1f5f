package snmp

import (
	"maps"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// The texts were what ironic 21.4 says, but for 3des.
func TestUnknownProtocolsOfVersion3(t *testing.T) {
	for key, want := range map[string]string{
		"snmp_auth_protocol": "SNMPPowerDriver: unknown SNMPv3 authentication protocol `driver_info/snmp_auth_protocol` x in node n " +
			"configuration, known protocols are: md5, sha, none, sha224, sha256, sha384, sha512",
		"snmp_priv_protocol": "SNMPPowerDriver: unknown SNMPv3 privacy protocol `driver_info/snmp_priv_protocol` x in node n " +
			"configuration, known protocols are: des, aes, aes192, aes256, none, aes192blmt, aes256blmt",
	} {
		_, err := parseDriverInfo(&store.Node{UUID: "n", DriverInfo: store.Dict{"snmp_driver": "apc", "snmp_address": "192.0.2.1",
			"snmp_outlet": 1, "snmp_version": "3", "snmp_user": "u", key: "x"}})
		if store.KindOf(err) != store.InvalidParameterValue || err.Error() != want {
			t.Errorf("%s: %v", key, err)
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(authNames)), slices.Sorted(maps.Keys(authProtocols))) ||
		!slices.Equal(slices.Sorted(slices.Values(privNames)), slices.Sorted(maps.Keys(privProtocols))) {
		t.Error("the names are not those of the protocols")
	}
}
