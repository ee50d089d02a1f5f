package main

import "github.com/ironmaster/ironmaster/deploy-examples/lab"

// ironicOptions enable what ironic's own gate enables for these tests (ironic-tempest-functional-python3 in its
// zuul.d/ironic-jobs.yaml, devstack/lib/ironic): the hardware types fake-hardware and ipmi, and network_interface noop.
var ironicOptions = map[string]map[string]string{
	"DEFAULT": {
		"auth_strategy":                 "keystone",
		"enabled_hardware_types":        "ipmi,fake-hardware",
		"enabled_bios_interfaces":       "fake,no-bios",
		"enabled_boot_interfaces":       "fake,ipxe,pxe",
		"enabled_console_interfaces":    "fake,no-console",
		"enabled_deploy_interfaces":     "direct,fake",
		"enabled_inspect_interfaces":    "fake,no-inspect",
		"enabled_management_interfaces": "fake,ipmitool,noop",
		"enabled_network_interfaces":    "noop",
		"default_network_interface":     "noop",
		"enabled_power_interfaces":      "fake,ipmitool",
		"enabled_raid_interfaces":       "fake,no-raid",
		"enabled_rescue_interfaces":     "fake,no-rescue",
		"enabled_vendor_interfaces":     "fake,ipmitool,no-vendor",
	},
}

// tempestConf has the suite make users of its own for each class of tests, and leave out what needs other services.
func tempestConf(keystone, dir string) map[string]map[string]string {
	return map[string]map[string]string{
		"DEFAULT":           {"debug": "true", "log_dir": dir, "log_file": "tempest.log"},
		"oslo_concurrency":  {"lock_path": dir},
		"identity":          {"uri_v3": keystone + "/v3", "auth_version": "v3", "region": region, "v3_endpoint_type": "public"},
		"service_available": {"ironic": "true", "cinder": "false", "glance": "false", "horizon": "false", "neutron": "false", "nova": "false", "swift": "false"},
		"auth": {
			"use_dynamic_credentials": "true", "create_isolated_networks": "false",
			"admin_username": "admin", "admin_password": lab.KeystonePassword, "admin_project_name": "admin", "admin_domain_name": "Default",
		},
		"baremetal": {"driver": "fake-hardware", "enabled_hardware_types": ironicOptions["DEFAULT"]["enabled_hardware_types"]},
	}
}
