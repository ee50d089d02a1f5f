package config

import "time"

// Inspector is [inspector]: inspection by a ramdisk, and what is made of its findings.
type Inspector struct {
	Auth
	ServiceType        string        `opt:"service_type" default:"baremetal-introspection"`
	CheckPeriod        time.Duration `opt:"status_check_period" default:"60"` // of the interface inspector; 0 and below: off
	Callback           string        `opt:"callback_endpoint_override"`       // of the interface inspector
	ForceDHCP          bool          `opt:"force_dhcp" default:"false"`       // since 39.0
	ExtraKernelParams  string        `opt:"extra_kernel_params" default:""`   // KEY or KEY=VALUE, with spaces between
	PowerOff           bool          `opt:"power_off" default:"true"`
	RequireManagedBoot *bool         `opt:"require_managed_boot" defaultNew:"true"` // None: true for the interface agent, false for inspector
	PreCreatePorts     bool          `opt:"pre_create_ports" default:"true"`

	AddPorts         string `opt:"add_ports" default:"pxe" choices:"all|active|pxe|disabled"`
	KeepPorts        string `opt:"keep_ports" default:"all" choices:"all|present|added"`
	UpdatePXEEnabled bool   `opt:"update_pxe_enabled" default:"true"`

	DefaultHooks    string   `opt:"default_hooks" default:"ramdisk-error,validate-interfaces,ports,architecture"`
	Hooks           string   `opt:"hooks" default:"$default_hooks"`
	CPUCapabilities Pairs    `opt:"cpu_capabilities" default:"vmx:cpu_vt,svm:cpu_vt,aes:cpu_aes,pse:cpu_hugepages,pdpe1gb:cpu_hugepages_1g,smx:cpu_txt"` // flags and capabilities
	PCIDeviceAlias  []string `opt:"pci_device_alias" multi:"true"`                                                                                       // objects with vendor_id, product_id and name

	KnownAccelerators   string   `opt:"known_accelerators" default:"$pybasedir/drivers/modules/inspector/hooks/known_accelerators.yaml"`
	ExtraHardwareStrict bool     `opt:"extra_hardware_strict" default:"false"`
	PhysicalNetworks    []string `opt:"physical_network_cidr_map" default:""` // PREFIX:NAME
	PartitioningSpacing bool     `opt:"disk_partitioning_spacing" default:"true"`
}

// AutoDiscovery is [auto_discovery]. Which driver machines are enrolled with is ironic-api's to know.
type AutoDiscovery struct {
	Enabled bool `opt:"enabled" default:"false" reload:"true"`
}

// Rules is [inspection_rules].
type Rules struct {
	BuiltIn     string `opt:"built_in_rules"`
	MaskSecrets string `opt:"mask_secrets" default:"always" choices:"always|never|sensitive"`
}

// Inventory is [inventory]: where findings are kept.
type Inventory struct {
	DataBackend string `opt:"data_backend" default:"database" choices:"none|database|swift"`
}
