package drivers

import (
	"context"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

// InterfaceType is one of the kinds of interfaces that make up a node's driver.
type InterfaceType string

// The interface types (ironic/drivers/base.py).
const (
	TypeBIOS       InterfaceType = "bios"
	TypeBoot       InterfaceType = "boot"
	TypeConsole    InterfaceType = "console"
	TypeDeploy     InterfaceType = "deploy"
	TypeFirmware   InterfaceType = "firmware"
	TypeInspect    InterfaceType = "inspect"
	TypeManagement InterfaceType = "management"
	TypeNetwork    InterfaceType = "network"
	TypePower      InterfaceType = "power"
	TypeRAID       InterfaceType = "raid"
	TypeRescue     InterfaceType = "rescue"
	TypeStorage    InterfaceType = "storage"
	TypeVendor     InterfaceType = "vendor"
)

// Interface is what every implementation of every type has.
type Interface interface {
	// Properties describes the driver_info keys that the interface reads: name to description.
	Properties() map[string]string
	// Validate checks the node's settings without asking the hardware. Its errors are *store.Error of the kinds
	// MissingParameterValue, InvalidParameterValue and UnsupportedDriverExtension.
	Validate(ctx context.Context, t *Task) error
	// Steps returns the steps of a kind that the interface itself carries out, out of band.
	Steps(kind StepKind) []Step
}

// Power switches a node.
type Power interface {
	Interface
	// PowerState returns store.PowerOn, store.PowerOff, store.PowerError or "" when it can't be known.
	PowerState(ctx context.Context, t *Task) (string, error)
	// SetPowerState goes to on, off, soft off or soft reboot and waits until the hardware reports it. A timeout of 0
	// stands for the configured one.
	SetPowerState(ctx context.Context, t *Task, state string, timeout time.Duration) error
	// Reboot switches off and on, or on when it was off.
	Reboot(ctx context.Context, t *Task, timeout time.Duration) error
	// SupportedPowerStates lists the targets that SetPowerState and Reboot take.
	SupportedPowerStates(t *Task) []string
	// SupportsPowerSync tells whether power sync may force the recorded state.
	SupportsPowerSync(t *Task) bool
}

// Controlled is a power interface that knows which controller a node's power is asked at. Several nodes may share one, which
// answers one question at a time.
type Controlled interface {
	// Controller names the node's controller, such as the address of its BMC; "" when the node does not tell.
	Controller(n *store.Node) string
}

// BootDevice is what a node boots from.
type BootDevice struct {
	Device string
	// Persistent is nil when the hardware does not tell.
	Persistent *bool
}

// Indicator describes one LED.
type Indicator struct {
	ReadOnly bool
	States   []string
}

// Management reads and sets what a node boots from and how.
type Management interface {
	Interface
	SupportedBootDevices(ctx context.Context, t *Task) ([]string, error)
	BootDevice(ctx context.Context, t *Task) (BootDevice, error)
	SetBootDevice(ctx context.Context, t *Task, device string, persistent bool) error
	BootMode(ctx context.Context, t *Task) (string, error)
	SetBootMode(ctx context.Context, t *Task, mode string) error
	SecureBoot(ctx context.Context, t *Task) (bool, error)
	SetSecureBoot(ctx context.Context, t *Task, on bool) error
	InjectNMI(ctx context.Context, t *Task) error
	// SupportedIndicators returns component to indicator name to description; component "" asks for all.
	SupportedIndicators(ctx context.Context, t *Task, component string) (map[string]map[string]Indicator, error)
	IndicatorState(ctx context.Context, t *Task, component, indicator string) (string, error)
	SetIndicatorState(ctx context.Context, t *Task, component, indicator, state string) error
	// DetectVendor returns the manufacturer's name, or an UnsupportedDriverExtension error.
	DetectVendor(ctx context.Context, t *Task) (string, error)
}

// Sensing is a management interface that reads sensors.
type Sensing interface {
	// Sensors reads all sensors. Its errors are FailedToGetSensorData and FailedToParseSensorData.
	Sensors(ctx context.Context, t *Task) (SensorData, error)
}

// Examining is a management interface that knows how a machine is as a whole.
type Examining interface {
	// Health is OK, Warning or Critical; "" when the hardware does not tell.
	Health(ctx context.Context, t *Task) (string, error)
}

// SensorData is what sensors tell: by type, then by name, the attributes of each. A type that tells of the machine itself has
// attributes alone.
type SensorData map[string]store.Dict

// Boot brings a node into a ramdisk or into its instance.
type Boot interface {
	Interface
	// PrepareRamdisk makes the node boot the deploy ramdisk at its next start. params go onto the kernel command line.
	PrepareRamdisk(ctx context.Context, t *Task, params map[string]string) error
	CleanUpRamdisk(ctx context.Context, t *Task) error
	// PrepareInstance makes the node boot what was deployed.
	PrepareInstance(ctx context.Context, t *Task) error
	CleanUpInstance(ctx context.Context, t *Task) error
}

// BootRetrier is a boot interface whose machines may miss what they are to boot.
type BootRetrier interface {
	// RetryBoot has a machine try once more, from what was prepared for it.
	RetryBoot(ctx context.Context, t *Task) error
}

// Deploy puts an image onto a node and takes it away again.
type Deploy interface {
	Interface
	Prepare(ctx context.Context, t *Task) error
	CleanUp(ctx context.Context, t *Task) error
	TearDown(ctx context.Context, t *Task) error
	TakeOver(ctx context.Context, t *Task) error
	// PrepareCleaning returns Waiting when an agent has to boot first.
	PrepareCleaning(ctx context.Context, t *Task) (Outcome, error)
	TearDownCleaning(ctx context.Context, t *Task) error
	// PrepareService and TearDownService are the same for the servicing of a node that has an instance.
	PrepareService(ctx context.Context, t *Task) (Outcome, error)
	TearDownService(ctx context.Context, t *Task) error
}

// Agent is implemented by deploy interfaces that run steps through an agent on the node. The conductor decides what a
// heartbeat means; the interface talks to the agent.
type Agent interface {
	// RefreshSteps asks the agent for its steps of a kind and caches them in driver_internal_info. When the agent is busy
	// it leaves the cache alone and returns no error.
	RefreshSteps(ctx context.Context, t *Task, kind StepKind) error
	// CachedSteps returns the agent's steps of a kind for one interface type, with configured priorities applied. ok is
	// false when no agent has reported any yet.
	CachedSteps(t *Task, kind StepKind, iface InterfaceType) (steps []Step, ok bool)
	// ExecuteStep sends a step (as it stands in the node's step column) to the agent and returns Waiting.
	ExecuteStep(ctx context.Context, t *Task, kind StepKind, step store.Dict) (Outcome, error)
	// ResumeStep is ExecuteStep for a step that may have been sent before. It reads the agent's command list and sends the
	// step only when the agent has not seen it. An agent that cannot be asked is Again.
	ResumeStep(ctx context.Context, t *Task, kind StepKind, step store.Dict) (Outcome, error)
	// StepStatus reads back how the step in the node's step column stands with the agent.
	StepStatus(ctx context.Context, t *Task, kind StepKind) (StepStatus, error)
	// RebootAgent boots the agent afresh, because a step that has ended wants it, or because the worker that it was about to
	// boot from is gone.
	RebootAgent(ctx context.Context, t *Task) error
	// FinalizeRescue tells the agent of a rescue ramdisk the password that the node's row holds. An agent that took it lets its
	// user in, and answers nobody any more. onlyHashed keeps the password as it was given from agents that take no other.
	FinalizeRescue(ctx context.Context, t *Task, onlyHashed bool) error
	// CollectLogs saves the ramdisk's logs when the configuration asks for it; failed tells that something went wrong.
	CollectLogs(ctx context.Context, t *Task, label string, failed bool)
}

// Chooser is implemented by deploy interfaces in whose place another one comes for the time of a deployment.
type Chooser interface {
	// Choose names the interface for the node's instance.
	Choose(ctx context.Context, t *Task) string
}

// Installer is implemented by deploy interfaces whose machines install themselves: what their heartbeats say tells how far they
// are, and nobody talks to them.
type Installer interface {
	// FinishInstall makes a machine that is installed boot its instance. It may be called again at any time.
	FinishInstall(ctx context.Context, t *Task) error
}

// StepStatus is what an agent says about the command that runs a step.
type StepStatus struct {
	State StepState
	// Error is the agent's text when State is StepFailed.
	Error string
	// Result is what the agent returned when State is StepSucceeded.
	Result store.Dict
}

// StepState is one of the answers that an agent's command list gives.
type StepState int

// The states of a step.
const (
	// StepNotStarted: the agent has just booted and has seen no step command.
	StepNotStarted StepState = iota
	StepRunning
	StepSucceeded
	StepFailed
	// StepVersionMismatch: the agent's hardware managers changed since the steps were listed; start over.
	StepVersionMismatch
	// StepUnknown: the last command is not the step that the node's row names.
	StepUnknown
)

// Inspect finds out what a node is made of.
type Inspect interface {
	Interface
	// InspectHardware returns Done when everything is known and written down, Waiting when a ramdisk goes on alone and tells later
	// what it found.
	InspectHardware(ctx context.Context, t *Task) (Outcome, error)
	// ContinueInspection takes what a ramdisk found. It may change both before they are stored.
	ContinueInspection(ctx context.Context, t *Task, inventory, pluginData store.Dict) error
	// AbortInspection ends an inspection that waits for a ramdisk. Its caller waits meanwhile.
	AbortInspection(ctx context.Context, t *Task) error
}

// Storage says where a node's root disk is, and connects the node with its volumes. Failures are StorageError.
type Storage interface {
	Interface
	// ShouldWriteImage is false when the node boots from a volume that holds its instance already.
	ShouldWriteImage(ctx context.Context, t *Task) (bool, error)
	// AttachVolumes lets the node reach its volumes, and DetachVolumes ends that. Attaching what is attached and detaching what is
	// not is no error, so a flow that goes on after a crash calls the same again.
	AttachVolumes(ctx context.Context, t *Task) error
	DetachVolumes(ctx context.Context, t *Task) error
}

// FirmwareCache is a firmware interface that reads which firmware a node's parts have.
type FirmwareCache interface {
	// CacheComponents records it. Its error is UnsupportedDriverExtension when the hardware tells nothing.
	CacheComponents(ctx context.Context, t *Task) error
}

// BIOS reads a node's firmware settings.
type BIOS interface {
	Interface
	// CacheSettings records the settings; interfaces that have none do nothing.
	CacheSettings(ctx context.Context, t *Task) error
}

// RAID makes arrays of a node's disks.
type RAID interface {
	Interface
	// ValidateRAIDConfig checks a configuration that a node is to get. Its errors are InvalidParameterValue and
	// UnsupportedDriverExtension.
	ValidateRAIDConfig(ctx context.Context, t *Task, config store.Dict) error
	// LogicalDiskProperties describes what a logical disk may be given: name to description.
	LogicalDiskProperties() map[string]string
}

// Rescue boots a node into a ramdisk that its user may log in to, and its instance again.
type Rescue interface {
	Interface
	// Rescue returns Waiting when an agent has to boot first. It may run again.
	Rescue(ctx context.Context, t *Task) (Outcome, error)
	// Unrescue boots the instance. It may run again.
	Unrescue(ctx context.Context, t *Task) error
	// CleanUp takes away what booted the ramdisk, its network, and the password from the node's row.
	CleanUp(ctx context.Context, t *Task) error
}

// RescueBoot is a boot interface that can boot a rescue ramdisk.
type RescueBoot interface {
	Boot
	// ValidateRescue checks that there is a ramdisk for a rescue.
	ValidateRescue(ctx context.Context, t *Task) error
}

// Console gives users a node's serial console.
type Console interface {
	Interface
	StartConsole(ctx context.Context, t *Task) error
	StopConsole(ctx context.Context, t *Task) error
	// ConsoleAccess tells how the console that runs is reached.
	ConsoleAccess(ctx context.Context, t *Task) (ConsoleAccess, error)
}

// ExpiringConsole is a console interface whose consoles are open for a time.
type ExpiringConsole interface {
	Console
	// Expired tells whether the time of a node's console is over. It needs console_interface and driver_internal_info alone.
	Expired(n *store.Node) bool
}

// ConsoleAccess is the kind of a console and where it is. Both are empty where there is nothing to tell.
type ConsoleAccess struct{ Type, URL string }

// Vendor offers users methods of its own.
type Vendor interface {
	Interface
	// NodeMethods are those that act on a node, DriverMethods those of the driver as a whole, which get no task.
	NodeMethods() map[string]VendorMethod
	DriverMethods() map[string]VendorMethod
	// ValidateMethod checks the arguments of a method that acts on a node.
	ValidateMethod(ctx context.Context, t *Task, method string, args store.Dict) error
}

// VendorMethod is one of a vendor interface's methods.
type VendorMethod struct {
	// HTTPMethods are those by which it may be called, in capitals.
	HTTPMethods []string
	Description string
	// Args are the names of its arguments; another is refused. Nil takes any.
	Args []string
	// Function is what ironic's function is called, with its class, in failures that name it.
	Function string
	// Sync methods are answered with what they return, others run in the background.
	Sync bool
	// Shared methods do not need the node for themselves.
	Shared bool
	Run    func(ctx context.Context, t *Task, args store.Dict) (any, error)
}
