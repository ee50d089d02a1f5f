package conductor

import (
	"time"

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

	WorkersPoolSize           int
	ReservedWorkersPercentage int
	PeriodicMaxWorkers        int

	HeartbeatInterval time.Duration
	HeartbeatTimeout  time.Duration

	NodeLockedRetryAttempts int
	NodeLockedRetryInterval time.Duration

	SoftPowerOffTimeout          time.Duration
	SyncPowerStateInterval       time.Duration
	SyncPowerStateWorkers        int
	PowerStateSyncMaxRetries     int
	ForcePowerStateDuringSync    bool
	PowerFailureRecoveryInterval time.Duration

	CheckProvisionStateInterval time.Duration
	SyncLocalStateInterval      time.Duration
	CacheCleanUpInterval        time.Duration
	DeployCallbackTimeout       time.Duration
	CleanCallbackTimeout        time.Duration

	AutomatedClean                 bool
	CleanStepPriorityOverride      map[string]int
	VerifyStepPriorityOverride     map[string]int
	MaxConcurrentDeploy            int
	MaxConcurrentClean             int
	AllowDeletingAvailableNodes    bool
	AllowProvisioningInMaintenance bool
	AutomaticLessee                bool
	NodeHistory                    bool
	RecordStepFlows                bool
	PowerOffAfterDeployFailure     bool
	PowerOffInCleanFail            bool
	FastTrack                      bool
	RequireAgentTLS                bool
	CertificatesPath               string
	LogInDBMaxSize                 int
	HashPartitionExponent          int
	HashRingAlgorithm              string
	HashRingResetInterval          time.Duration
	// NotificationLevel is debug, info, warning, error or critical; "" sends no versioned notifications.
	NotificationLevel string
	// NotificationDrivers are messagingv2, messaging, log and noop; without one nothing is sent.
	NotificationDrivers []string
	NotificationTopics  []string
	// ProgressInterval is the longest silence of the progress events of a step that moves bytes.
	ProgressInterval time.Duration
	MaxMessageSize   int
	// GracefulShutdownTimeout is how long a stopping worker waits for what runs.
	GracefulShutdownTimeout time.Duration
}
