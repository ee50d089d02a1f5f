package store

import "time"

// Node is a bare-metal machine: one row of the table nodes. The tag field is both the column's name and the name of the
// versioned object's field. A text that users may set to "" is a pointer; elsewhere "" stands for NULL, as does the
// zero time.
type Node struct {
	ID      int64  `field:"id"`
	UUID    string `field:"uuid"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	Name           *string `field:"name"`
	ChassisID      *int64  `field:"chassis_id"`
	InstanceUUID   string  `field:"instance_uuid"`
	Driver         string  `field:"driver"`
	ConductorGroup string  `field:"conductor_group,notnull"`
	ResourceClass  *string `field:"resource_class"`
	Owner          *string `field:"owner"`
	Lessee         *string `field:"lessee"`
	Description    *string `field:"description"`
	Shard          *string `field:"shard"`
	ParentNode     string  `field:"parent_node"`
	InstanceName   *string `field:"instance_name"`
	Health         string  `field:"health"`
	AllocationID   *int64  `field:"allocation_id"`

	DriverInfo         Dict `field:"driver_info"`
	DriverInternalInfo Dict `field:"driver_internal_info"`
	InstanceInfo       Dict `field:"instance_info"`
	Properties         Dict `field:"properties"`
	Extra              Dict `field:"extra"`
	NetworkData        Dict `field:"network_data"`
	CleanStep          Dict `field:"clean_step"`
	DeployStep         Dict `field:"deploy_step"`
	ServiceStep        Dict `field:"service_step"`
	RAIDConfig         Dict `field:"raid_config"`
	TargetRAIDConfig   Dict `field:"target_raid_config"`

	Reservation       string `field:"reservation"`
	ConductorAffinity *int64 `field:"conductor_affinity"`

	PowerState           string    `field:"power_state"`
	TargetPowerState     string    `field:"target_power_state"`
	ProvisionState       string    `field:"provision_state"`
	TargetProvisionState string    `field:"target_provision_state"`
	ProvisionUpdatedAt   time.Time `field:"provision_updated_at"`
	InspectionStartedAt  time.Time `field:"inspection_started_at"`
	InspectionFinishedAt time.Time `field:"inspection_finished_at"`
	LastError            string    `field:"last_error"`

	Maintenance       bool    `field:"maintenance"`
	MaintenanceReason *string `field:"maintenance_reason"`
	Fault             string  `field:"fault"`
	ConsoleEnabled    bool    `field:"console_enabled"`
	AutomatedClean    *bool   `field:"automated_clean"`
	Protected         bool    `field:"protected"`
	ProtectedReason   *string `field:"protected_reason"`
	Retired           *bool   `field:"retired"`
	RetiredReason     *string `field:"retired_reason"`
	DisablePowerOff   *bool   `field:"disable_power_off"`
	BootMode          string  `field:"boot_mode"`
	SecureBoot        *bool   `field:"secure_boot"`

	BIOSInterface       string `field:"bios_interface"`
	BootInterface       string `field:"boot_interface"`
	ConsoleInterface    string `field:"console_interface"`
	DeployInterface     string `field:"deploy_interface"`
	FirmwareInterface   string `field:"firmware_interface"`
	InspectInterface    string `field:"inspect_interface"`
	ManagementInterface string `field:"management_interface"`
	NetworkInterface    string `field:"network_interface"`
	PowerInterface      string `field:"power_interface"`
	RAIDInterface       string `field:"raid_interface"`
	RescueInterface     string `field:"rescue_interface"`
	StorageInterface    string `field:"storage_interface"`
	VendorInterface     string `field:"vendor_interface"`

	// Traits live in node_traits, not in a column; sorted.
	Traits []string
	// Snapshot is what the row held when it was read; store/sql compares with it to write only what changed.
	Snapshot Snapshot
}

// Port is a network port of a node: one row of the table ports.
type Port struct {
	ID      int64  `field:"id"`
	UUID    string `field:"uuid"`
	Version string `field:"version"`

	CreatedAt time.Time `field:"created_at"`
	UpdatedAt time.Time `field:"updated_at"`

	NodeID              int64   `field:"node_id"`
	Address             string  `field:"address"`
	Extra               Dict    `field:"extra"`
	LocalLinkConnection Dict    `field:"local_link_connection"`
	PortgroupID         *int64  `field:"portgroup_id"`
	PXEEnabled          *bool   `field:"pxe_enabled"`
	InternalInfo        Dict    `field:"internal_info"`
	PhysicalNetwork     *string `field:"physical_network"`
	IsSmartNIC          *bool   `field:"is_smartnic"`
	Name                *string `field:"name"`
	Description         *string `field:"description"`
	Vendor              *string `field:"vendor"`
	Category            *string `field:"category"`
	DynamicPortgroup    *bool   `field:"available_for_dynamic_portgroup"`

	// NodeUUID is no column; reads join it from nodes.
	NodeUUID string
	Snapshot Snapshot
}

// Conductor is a worker as its peers and ironic-api see it: one row of the table conductors.
type Conductor struct {
	ID             int64     `field:"id"`
	Version        string    `field:"version"`
	CreatedAt      time.Time `field:"created_at"`
	UpdatedAt      time.Time `field:"updated_at"`
	Hostname       string    `field:"hostname"`
	ConductorGroup string    `field:"conductor_group,notnull"`
	Drivers        []string  `field:"drivers"`
	Online         bool      `field:"online"`
}

// HardwareInterface is one enabled interface of one hardware type of a conductor: a row of
// conductor_hardware_interfaces, from which ironic-api learns what exists.
type HardwareInterface struct {
	HardwareType  string
	InterfaceType string
	InterfaceName string
	Default       bool
}

// HistoryEntry is one row of node_history: something that happened to a node, for operators to read later.
type HistoryEntry struct {
	NodeID    int64
	Conductor string
	EventType string
	Severity  string
	Event     string
	User      string

	// What follows has columns in newer schemas only: where the node stood, and for how many seconds it had.
	State, TargetState string
	Duration           *int64
}
