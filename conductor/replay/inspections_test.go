package replay

import "testing"

// inspections asks a conductor that takes findings of ramdisks: it has all inspection hooks, automatic discovery and inspection rules.
// 21.4 has none of these, and refuses the findings.
func (w *world) inspections(t *testing.T) {
	if err := w.db.empty(); err != nil {
		t.Fatal(err)
	}
	if releases[w.release].name != "21.4" {
		w.restart(t, options{
			"DEFAULT": {"enabled_inspect_interfaces": "agent,fake,no-inspect"},
			"inspector": {
				"hooks": "ramdisk-error,validate-interfaces,ports,architecture,accelerators,boot-mode,cpu-capabilities,extra-hardware," +
					"local-link-connection,memory,parse-lldp,pci-devices,physical-network,root-device,raid-device",
				"pci_device_alias":          `{"vendor_id": "8086", "product_id": "1234", "name": "nic"}`,
				"physical_network_cidr_map": "192.0.2.0/24:first,2001:db8::/64:second",
			},
			"auto_discovery":   {"enabled": "true", "driver": "fake-hardware"},
			"inspection_rules": {"mask_secrets": "sensitive"},
		})
		defer w.restart(t, nil)
	}
	w.replayFurther(t, "cases of inspection", func(s setup) bool { return s.Inspection })
}
