package inspection

// Config are the options of [inspector] that hooks go by.
type Config struct {
	// AddPorts says which cards get a port: all, active (with an IP address), pxe (the one that booted) or disabled.
	AddPorts string
	// KeepPorts says which ports stay: all, present (of cards that were found) or added (that AddPorts would add).
	KeepPorts string
	// UpdatePXEEnabled sets pxe_enabled of every port by whether its card booted.
	UpdatePXEEnabled bool
	// CPUCapabilities maps flags of a CPU to capabilities that a node with it has.
	CPUCapabilities map[string]string
	// PCIAliases count PCI devices.
	PCIAliases []PCIAlias
}

// PCIAlias names a kind of PCI device, whose number becomes a capability.
type PCIAlias struct {
	VendorID  string `json:"vendor_id"`
	ProductID string `json:"product_id"`
	Name      string `json:"name"`
}

// DefaultConfig returns ironic's defaults.
func DefaultConfig() Config {
	return Config{AddPorts: AddPXE, KeepPorts: KeepAll, UpdatePXEEnabled: true, CPUCapabilities: map[string]string{
		"vmx": "cpu_vt", "svm": "cpu_vt", "aes": "cpu_aes", "pse": "cpu_hugepages", "pdpe1gb": "cpu_hugepages_1g", "smx": "cpu_txt",
	}}
}

// The values of AddPorts and KeepPorts.
const (
	AddAll      = "all"
	AddActive   = "active"
	AddPXE      = "pxe"
	AddDisabled = "disabled"
	KeepAll     = "all"
	KeepPresent = "present"
	KeepAdded   = "added"
)
