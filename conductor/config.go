package conductor

import (
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
)

// Config is what a worker needs to know, from ironic.conf. Names and defaults are those of the options in
// reference/config.md; conductor/config reads them.
type Config struct {
	// Host is this worker's identity: RPC server name, conductors.hostname and the value of nodes.reservation.
	Host string
	// PublisherHost is the host that notifications name: [DEFAULT]host, even where Host says more.
	PublisherHost string
	// Group is the conductor group, lower case.
	Group string
	// Release is the ironic release whose behaviour is shown; it follows the database's schema.
	Release messaging.Release

	HeartbeatInterval time.Duration
	HeartbeatTimeout  time.Duration

	// StaleInterval is how often rows of workers that are gone are looked for, 0 never.
	StaleInterval time.Duration
	// HistoryCleanUpInterval is how often histories are cut, 0 never; about HistoryCleanUpBatch entries at a time.
	HistoryCleanUpInterval time.Duration
	HistoryCleanUpBatch    int

	// DefaultPortgroupMode is the mode of port groups that callers without a database of their own create without one.
	DefaultPortgroupMode string

	// RequestPatience is how long a request waits for a database that is away when it comes.
	RequestPatience time.Duration

	SyncPowerStateWorkers int

	CleanStepPriorityOverride  map[string]int
	VerifyStepPriorityOverride map[string]int
	FastTrack                  bool
	// StoreInventory keeps what inspections find in the database.
	StoreInventory bool
	// BootRetryTimeout is after which time a machine that boots its ramdisk from the network, and was not heard of, boots again; 0 is
	// never. BootRetryInterval is how often this is looked at.
	BootRetryTimeout, BootRetryInterval time.Duration
	RequireAgentTLS                     bool
	CertificatesPath                    string
	HashPartitionExponent               int
	HashRingAlgorithm                   string
	HashRingResetInterval               time.Duration
	// NotificationLevel is debug, info, warning, error or critical; "" sends no versioned notifications.
	NotificationLevel string
	// NotificationDrivers are messagingv2, messaging, log and noop; without one nothing is sent.
	NotificationDrivers []string
	NotificationTopics  []string
	Sensors             SensorConfig
	// MetricsPrefix begins every name that the meter is told ([metrics]global_prefix), with its dot; "" for none.
	MetricsPrefix  string
	MaxMessageSize int

	// ConsoleExpiryInterval is how often consoles that are open for a time are looked at ([vnc]expire_console_session_interval); 0
	// never.
	ConsoleExpiryInterval time.Duration

	// InspectionCheckInterval is how often the service that inspects machines is asked how they stand ([inspector]status_check_period);
	// 0 never.
	InspectionCheckInterval time.Duration

	// RAIDStatusInterval and RAIDFailInterval are how often BMCs are asked about changes of arrays that they make, and that failed
	// ([redfish]raid_config_status_interval and raid_config_fail_interval).
	RAIDStatusInterval, RAIDFailInterval time.Duration
	// FirmwareStatusInterval and FirmwareFailInterval are the same for updates of firmware ([redfish]firmware_update_status_interval and
	// firmware_update_fail_interval).
	FirmwareStatusInterval, FirmwareFailInterval time.Duration

	Live
}

// Live are the options that a running worker follows when it is told to reload (SIGHUP). In code they are read through live.
type Live struct {
	WorkersPoolSize              int
	ReservedWorkersPercentage    int
	PeriodicMaxWorkers           int
	NodeLockedRetryAttempts      int
	NodeLockedRetryInterval      time.Duration
	SoftPowerOffTimeout          time.Duration
	SyncPowerStateInterval       time.Duration
	PowerStateSyncMaxRetries     int
	ForcePowerStateDuringSync    bool
	PowerFailureRecoveryInterval time.Duration
	CheckProvisionStateInterval  time.Duration
	CheckAllocationsInterval     time.Duration
	SyncLocalStateInterval       time.Duration
	CacheCleanUpInterval         time.Duration
	DeployCallbackTimeout        time.Duration
	CleanCallbackTimeout         time.Duration
	ServiceCallbackTimeout       time.Duration
	RescueCallbackTimeout        time.Duration
	InspectWaitTimeout           time.Duration
	// AutoDiscovery takes findings of nodes that ironic-api has just enrolled, because it did not know their machines.
	AutoDiscovery            bool
	CheckRescueStateInterval time.Duration
	// RescuePasswordHash is sha256 or sha512. RequireRescuePasswordHashed keeps the password as it was given from every agent.
	RescuePasswordHash          string
	RequireRescuePasswordHashed bool
	AutomatedClean              bool
	Runbooks                    RunbookConfig
	MaxConcurrentDeploy         int
	MaxConcurrentClean          int
	// MaxConcurrentPerGroup counts only nodes of the worker's own conductor group for these.
	MaxConcurrentPerGroup          bool
	AllowDeletingAvailableNodes    bool
	AllowProvisioningInMaintenance bool
	AutomaticLessee                bool
	// LesseeSource is where the lessee is read: LesseeOfInstance, LesseeOfRequest, or anything else for nowhere.
	LesseeSource string
	// DisallowedBootModes are the values of properties.boot_mode that no node is deployed with.
	DisallowedBootModes []string
	NodeHistory         bool
	// StaleTimeout is after how long without a sign of life a worker's row is deleted, StaleBatch how many at a time.
	StaleTimeout time.Duration
	StaleBatch   int
	// HistoryMaxEntries is how many entries of a node's history are kept; 0 keeps all.
	HistoryMaxEntries int
	// HistoryMinimumAge is how long every entry is kept.
	HistoryMinimumAge time.Duration
	RecordStepFlows   bool
	HealthMonitoring  bool
	// DisallowedSteps are those that nothing may run, as interface.step.
	DisallowedSteps            map[drivers.StepKind][]string
	PowerOffAfterDeployFailure bool
	PowerOffInCleanFail        bool
	PowerOffInServiceFail      bool
	LogInDBMaxSize             int
	// ProgressInterval is the longest silence of the progress events of a step that moves bytes.
	ProgressInterval time.Duration
	// DrainTimeout is how long a worker that drains waits for what runs; 0 is for ever.
	DrainTimeout time.Duration
	// GracefulShutdownTimeout is how long requests in execution have at most when a worker stops.
	GracefulShutdownTimeout time.Duration
}

// live are the options as they are now.
func (c *Conductor) live() *Live { return c.options.Load() }

// present is the configuration with the options as they are now.
func (c *Conductor) present() Config {
	cfg := c.cfg
	cfg.Live = *c.live()
	return cfg
}

// Reload makes the worker follow other options from now on. What waits already goes on waiting as long as it was to.
func (c *Conductor) Reload(o Live) {
	c.options.Store(&o)
	c.pool.resize(o.WorkersPoolSize, o.ReservedWorkersPercentage)
	c.reloaded.tell()
}
