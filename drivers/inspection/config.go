package inspection

import (
	"fmt"
	"net/netip"
	"strings"
)

// Config are the options of [inspector] that hooks go by.
type Config struct {
	// AddPorts says which cards get a port: all, active (with an IP address), pxe (the one that booted) or disabled.
	AddPorts string
	// KeepPorts says which ports stay: all, present (of cards that were found) or added (that AddPorts would add).
	KeepPorts string
	// UpdatePXEEnabled sets pxe_enabled of every port by whether its card booted.
	UpdatePXEEnabled bool
	// CPUCapabilities are what a node has by the flags of its CPU, in the order in which they are added.
	CPUCapabilities []CPUCapability
	// PCIAliases count PCI devices.
	PCIAliases []PCIAlias
	// Accelerators are the PCI devices that the hook accelerators looks for.
	Accelerators []Accelerator
	// ExtraHardwareStrict refuses extra data with a record of the wrong length.
	ExtraHardwareStrict bool
	// PhysicalNetworks tell by a card's IP address which physical network its port is in; the first that fits counts.
	PhysicalNetworks []PhysicalNetwork
	// PartitioningSpacing leaves 1 GiB of a root disk out of local_gb.
	PartitioningSpacing bool

	// What differs between releases of ironic.
	Differences Differences
}

// Differences between what releases of ironic make of the same findings.
type Differences struct {
	// CPUs has the hook cpus, as since 35.0.
	CPUs bool
	// LocalGBText keeps local_gb as a text, as before 35.0.
	LocalGBText bool
	// ClientIDs writes the client ID of a card also into a port that was there before, as since 33.0.
	ClientIDs bool
	// SwitchInfo writes the name of a switch into its ports, as since 32.0.
	SwitchInfo bool
	// AcceleratorsGo takes accelerators off a node in which none is left, as since 32.0.
	AcceleratorsGo bool
	// MostLLDPCards bounds the number of cards whose LLDP data is read, as since 38.0; 0 reads all.
	MostLLDPCards int
}

// PhysicalNetwork names the physical network of the addresses in Prefix.
type PhysicalNetwork struct {
	Prefix netip.Prefix
	Name   string
}

// ParsePhysicalNetwork reads PREFIX:NAME, such as 192.0.2.0/24:physnet1.
func ParsePhysicalNetwork(text string) (PhysicalNetwork, error) {
	at := strings.LastIndex(text, ":")
	if at < 0 || text[at+1:] == "" {
		return PhysicalNetwork{}, fmt.Errorf("%q is not a network and a name with a colon between", text)
	}
	prefix, err := netip.ParsePrefix(text[:at])
	if address, addressErr := netip.ParseAddr(text[:at]); addressErr == nil {
		// A network of one.
		prefix, err = address.Prefix(address.BitLen())
	}
	if err != nil {
		return PhysicalNetwork{}, fmt.Errorf("%q is no network: %w", text[:at], err)
	}
	if prefix != prefix.Masked() {
		return PhysicalNetwork{}, fmt.Errorf("the network %q has host bits set", text[:at])
	}
	return PhysicalNetwork{Prefix: prefix, Name: text[at+1:]}, nil
}

// CPUCapability is a capability that a node has whose CPU has Flag.
type CPUCapability struct{ Flag, Name string }

// PCIAlias names a kind of PCI device, whose number becomes a capability.
type PCIAlias struct {
	VendorID  string `json:"vendor_id"`
	ProductID string `json:"product_id"`
	Name      string `json:"name"`
}

// DefaultConfig returns ironic's defaults.
func DefaultConfig() Config {
	return Config{AddPorts: AddPXE, KeepPorts: KeepAll, UpdatePXEEnabled: true, PartitioningSpacing: true, CPUCapabilities: []CPUCapability{
		{"vmx", "cpu_vt"}, {"svm", "cpu_vt"}, {"aes", "cpu_aes"}, {"pse", "cpu_hugepages"}, {"pdpe1gb", "cpu_hugepages_1g"}, {"smx", "cpu_txt"},
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
