package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/snmp"
	"github.com/ironmaster/ironmaster/drivers/tftp"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
	"github.com/ironmaster/ironmaster/store/keystone"
	"github.com/ironmaster/ironmaster/store/sql"
)

// This file turns the settings of ironic.conf into what each part takes.

func databaseConfig(s *config.Settings, log zerolog.Logger) sql.Config {
	c := sql.Defaults()
	c.URL, c.MaxPoolSize, c.MaxOverflow = s.Database.Connection, s.Database.MaxPoolSize, s.Database.MaxOverflow
	c.ConnectionRecycleTime, c.MaxRetries = s.Database.ConnectionRecycleTime, s.Database.MaxRetries
	c.RetryInterval, c.MySQLSQLMode, c.Log = s.Database.RetryInterval, s.Database.MySQLSQLMode, log
	return c
}

func brokerConfig(s *config.Settings, name string, log zerolog.Logger) rabbit.Config {
	r := s.Rabbit
	o := rabbit.DefaultOptions()
	o.TLS, o.TLSVersion, o.KeyFile, o.CertFile, o.CAFile = r.SSL, r.SSLVersion, r.SSLKeyFile, r.SSLCertFile, r.SSLCAFile
	o.VerifyHostname, o.LoginMethod, o.Heartbeat = r.SSLEnforceHostname, r.LoginMethod, r.HeartbeatTimeoutThreshold
	o.RetryInterval, o.RetryBackoff, o.RetryMax = r.RetryInterval, r.RetryBackoff, r.IntervalMax
	o.ReconnectDelay, o.MissingConsumerTimeout = r.KombuReconnectDelay, r.MissingConsumerRetryTimeout
	o.Prefetch, o.CancelOnFailover, o.DurableQueues = r.QoSPrefetchCount, r.EnableCancelOnFailover, r.AMQPDurableQueues
	o.AutoDelete, o.HAQueues, o.QuorumQueue = r.AMQPAutoDelete, r.HAQueues, r.QuorumQueue
	o.QuorumDeliveryLimit, o.QuorumMaxMemoryLength = r.QuorumDeliveryLimit, r.QuorumMaxMemoryLength
	o.QuorumMaxMemoryBytes, o.TransientQuorumQueue = r.QuorumMaxMemoryBytes, r.TransientQuorumQueue
	o.TransientTTL, o.StreamFanout, o.QueueManager = r.TransientQueuesTTL, r.StreamFanout, r.UseQueueManager
	o.QueueManagerHost, o.QueueManagerProcess = r.QueueManagerHostname, r.QueueManagerProcess
	return rabbit.Config{URL: s.Default.TransportURL, Options: o, Exchange: s.Default.ControlExchange, Name: name, Log: log}
}

func workerConfig(s *config.Settings, release messaging.Release) (conductor.Config, error) {
	d, c := s.Default, s.Conductor
	clean, err := priorities("clean_step_priority_override", c.CleanStepPriorityOverride)
	if err != nil {
		return conductor.Config{}, err
	}
	verify, err := priorities("verify_step_priority_override", c.VerifyStepPriorityOverride)
	if err != nil {
		return conductor.Config{}, err
	}
	host, err := conductorHost(s, release)
	if err != nil {
		return conductor.Config{}, err
	}
	return conductor.Config{
		Host: host, PublisherHost: d.Host, Group: strings.ToLower(c.Group), Release: release,
		StaleInterval:          c.StaleCleanUpInterval,
		HistoryCleanUpInterval: c.HistoryCleanUpInterval, HistoryCleanUpBatch: c.HistoryCleanUpBatch,
		DefaultPortgroupMode: d.DefaultPortgroupMode,
		HeartbeatInterval:    c.HeartbeatInterval, HeartbeatTimeout: c.HeartbeatTimeout, SyncPowerStateWorkers: c.SyncPowerStateWorkers,
		CleanStepPriorityOverride: clean, VerifyStepPriorityOverride: verify, FastTrack: s.Deploy.FastTrack,
		StoreInventory:   storesInventory(s),
		BootRetryTimeout: s.PXE.BootRetryTimeout, BootRetryInterval: s.PXE.BootRetryInterval,
		RequireAgentTLS: s.Agent.RequireTLS, CertificatesPath: s.Agent.CertificatesPath,
		RequestPatience:       d.RPCResponseTimeout / 2,
		HashPartitionExponent: d.HashPartitionExponent, HashRingAlgorithm: d.HashRingAlgorithm,
		HashRingResetInterval: d.HashRingResetInterval, NotificationLevel: d.NotificationLevel,
		NotificationDrivers: s.Notifications.Drivers, NotificationTopics: d.VersionedNotificationsTopics,
		RAIDStatusInterval: s.Redfish.RAIDStatusInterval, RAIDFailInterval: s.Redfish.RAIDFailInterval,
		FirmwareStatusInterval: s.Redfish.FirmwareStatusInterval, FirmwareFailInterval: s.Redfish.FirmwareFailInterval,
		ConsoleExpiryInterval: s.VNC.ExpiryInterval, InspectionCheckInterval: s.Inspector.CheckPeriod,
		MetricsPrefix: metricsPrefix(s.Metrics),
		Sensors:       sensorConfig(s), MaxMessageSize: oslo.DefaultMaxSize, Live: liveOptions(s),
	}, nil
}

func sensorConfig(s *config.Settings) conductor.SensorConfig {
	d := s.SensorData
	c := conductor.SensorConfig{Workers: d.Workers, Limit: d.WaitTimeout, Types: d.DataTypes, Nodes: d.EnableForNodes,
		Undeployed: d.ForUndeployed, Worker: d.EnableForConductor, Topics: s.Notifications.Topics}
	if d.Send {
		c.Interval = d.Interval
	}
	return c
}

// liveOptions are those that a running worker follows. Each is tagged reload in package config.
func liveOptions(s *config.Settings) conductor.Live {
	c := s.Conductor
	return conductor.Live{
		WorkersPoolSize: c.WorkersPoolSize, ReservedWorkersPercentage: c.ReservedWorkersPool,
		PeriodicMaxWorkers: c.PeriodicMaxWorkers, NodeLockedRetryAttempts: c.NodeLockedRetryAttempts,
		NodeLockedRetryInterval: c.NodeLockedRetryInterval, SoftPowerOffTimeout: c.SoftPowerOffTimeout,
		SyncPowerStateInterval: c.SyncPowerStateInterval, PowerStateSyncMaxRetries: c.PowerStateSyncMaxRetries,
		ForcePowerStateDuringSync: c.ForcePowerStateDuringSync, PowerFailureRecoveryInterval: c.PowerFailureRecoveryInterval,
		CheckProvisionStateInterval: c.CheckProvisionStateInterval,
		CheckAllocationsInterval:    c.CheckAllocationsInterval, SyncLocalStateInterval: c.SyncLocalStateInterval,
		CacheCleanUpInterval: c.CacheCleanUpInterval, DeployCallbackTimeout: c.DeployCallbackTimeout,
		CleanCallbackTimeout: c.CleanCallbackTimeout, InspectWaitTimeout: c.InspectWaitTimeout,
		AutomatedClean: c.AutomatedClean, AutoDiscovery: s.AutoDiscovery.Enabled,
		Runbooks: conductor.RunbookConfig{Source: c.CleaningStepSource, Runbook: c.CleaningRunbook, ByClass: c.CleaningRunbookByClass,
			FromNode: c.CleaningRunbookFromNode, ValidateTraits: c.CleaningRunbookTraits},
		RescueCallbackTimeout: c.RescueCallbackTimeout, CheckRescueStateInterval: c.CheckRescueStateInterval,
		RescuePasswordHash: c.RescuePasswordHashAlgorithm, RequireRescuePasswordHashed: c.RequireRescuePasswordHashed,
		MaxConcurrentDeploy: c.MaxConcurrentDeploy, MaxConcurrentClean: c.MaxConcurrentClean,
		AllowDeletingAvailableNodes:    c.AllowDeletingAvailable,
		AllowProvisioningInMaintenance: c.AllowProvisioningInMaintenance, AutomaticLessee: c.AutomaticLessee,
		LesseeSource: c.LesseeSource, DisallowedBootModes: c.DisallowedBootModes, MaxConcurrentPerGroup: c.MaxConcurrentPerGroup,
		DisallowedSteps: map[drivers.StepKind][]string{drivers.DeployStep: s.API.DisallowDeploySteps,
			drivers.ServiceStep: s.API.DisallowServiceSteps, drivers.CleanStep: s.API.DisallowCleanSteps},
		NodeHistory: c.NodeHistory, RecordStepFlows: c.RecordStepFlows, HealthMonitoring: c.HealthMonitoring, HistoryMaxEntries: c.HistoryMaxEntries,
		StaleTimeout: c.StaleCleanUpTimeout, StaleBatch: c.StaleCleanUpBatch,
		HistoryMinimumAge:          time.Duration(c.HistoryMinimumDays) * 24 * time.Hour,
		PowerOffAfterDeployFailure: s.Deploy.PowerOffAfterDeployFailure, PowerOffInCleanFail: c.PoweroffInCleanFail,
		PowerOffInServiceFail: c.PoweroffInServiceFail, ServiceCallbackTimeout: c.ServiceCallbackTimeout,
		LogInDBMaxSize: s.Default.LogInDBMaxSize, ProgressInterval: s.Ironmaster.ProgressInterval,
		DrainTimeout: s.Default.DrainShutdownTimeout, GracefulShutdownTimeout: c.GracefulShutdownTimeout,
	}
}

// pinnedRelease is the release to whose object versions [DEFAULT]pin_release_version holds a worker; 0 stands for no pin.
func pinnedRelease(d config.Default) (messaging.Release, error) {
	if d.PinReleaseVersion == "" {
		return 0, nil
	}
	pin, err := messaging.ParseRelease(d.PinReleaseVersion)
	if err != nil {
		return 0, fmt.Errorf("[DEFAULT]pin_release_version: %w", err)
	}
	return pin, nil
}

// priorities joins the occurrences of a priority override: "interface.step:priority".
func priorities(option string, given []map[string]string) (map[string]int, error) {
	all := map[string]int{}
	for _, one := range given {
		for step, text := range one {
			p, err := strconv.Atoi(text)
			if err != nil || p < 0 {
				return nil, fmt.Errorf("[conductor]%s: the priority of %s is %q, not a whole number", option, step, text)
			}
			all[step] = p
		}
	}
	return all, nil
}

func enabledConfig(d config.Default) catalog.Config {
	// An option that was left out has its default, which may name what this build lacks.
	list := func(names []string) catalog.List { return catalog.List{Names: names} }
	return catalog.Config{
		HardwareTypes: list(d.EnabledHardwareTypes),
		Interfaces: map[drivers.InterfaceType]catalog.List{
			drivers.TypeBIOS: list(d.EnabledBIOS), drivers.TypeBoot: list(d.EnabledBoot), drivers.TypeConsole: list(d.EnabledConsole),
			drivers.TypeDeploy: list(d.EnabledDeploy), drivers.TypeFirmware: list(d.EnabledFirmware),
			drivers.TypeInspect: list(d.EnabledInspect), drivers.TypeManagement: list(d.EnabledManagement),
			drivers.TypeNetwork: list(d.EnabledNetwork), drivers.TypePower: list(d.EnabledPower),
			drivers.TypeRAID: list(d.EnabledRAID), drivers.TypeRescue: list(d.EnabledRescue),
			drivers.TypeStorage: list(d.EnabledStorage), drivers.TypeVendor: list(d.EnabledVendor),
		},
		Defaults: map[drivers.InterfaceType]string{
			drivers.TypeBIOS: d.DefaultBIOS, drivers.TypeBoot: d.DefaultBoot, drivers.TypeConsole: d.DefaultConsole,
			drivers.TypeDeploy: d.DefaultDeploy, drivers.TypeFirmware: d.DefaultFirmware, drivers.TypeInspect: d.DefaultInspect,
			drivers.TypeManagement: d.DefaultManagement, drivers.TypeNetwork: d.DefaultNetwork, drivers.TypePower: d.DefaultPower,
			drivers.TypeRAID: d.DefaultRAID, drivers.TypeRescue: d.DefaultRescue, drivers.TypeStorage: d.DefaultStorage,
			drivers.TypeVendor: d.DefaultVendor,
		},
	}
}

func imageConfig(s *config.Settings) image.Config {
	c := image.DefaultConfig()
	c.Glance = glanceConfig(s.Glance)
	c.HTTP = image.HTTPConfig{Verify: s.Default.WebserverVerifyCA.Enabled, CAFile: s.Default.WebserverVerifyCA.CAFile,
		Timeout: s.Default.WebserverConnectionTimeout, VerifyTimeout: s.Default.WebserverVerifyTimeout,
		Credentials: imageCredentials(s.Deploy)}
	c.File.AllowedPaths = s.Conductor.FileURLAllowedPaths
	c.Checksum = image.ChecksumConfig{AllowMD5: s.Agent.AllowMD5Checksum,
		DisableFiles: s.Conductor.DisableSupportForChecksumFiles, DisableVerification: s.Conductor.DisableFileChecksum}
	c.Safety = image.SafetyConfig{MaxVirtualSize: s.Ironmaster.MaxImageSize * image.MiB,
		Disable: s.Conductor.DisableDeepImageInspection}
	for _, f := range s.Conductor.PermittedImageFormats {
		c.Safety.PermittedFormats = append(c.Safety.PermittedFormats, image.Format(f))
	}
	c.Convert.MemoryLimit = int64(s.DiskUtils.ImageConvertMemoryLimit) * image.MiB
	c.Convert.Attempts, c.Convert.TimeLimit = s.DiskUtils.ImageConvertAttempts, s.Ironmaster.ImageConvertTimeLimit
	c.Convert.GrowthFactor = s.Default.RawImageGrowthFactor
	c.Cache = image.CacheConfig{MasterDir: s.PXE.InstanceMasterPath, ImagesDir: s.PXE.ImagesPath,
		Size: int64(s.PXE.ImageCacheSize) * image.MiB, TTL: s.PXE.ImageCacheTTL, Concurrency: s.Default.ImageDownloadConcurrency}
	if c.Cache.MasterDir == "" {
		// Without a cache images are kept as long as a node needs them.
		c.Cache.MasterDir, c.Cache.Size, c.Cache.TTL = filepath.Join(s.PXE.ImagesPath, "master_images"), 0, 0
	}
	c.Server.Listen, c.Server.BaseURL = s.Ironmaster.ImageServerListen, s.Ironmaster.ImageServerURL
	if c.Server.BaseURL == "" {
		_, port, _ := net.SplitHostPort(c.Server.Listen)
		c.Server.BaseURL = "http://" + net.JoinHostPort(s.Default.MyIP, port)
	}
	c.OutageLimit = s.Ironmaster.ImageOutageLimit
	c.WholeDiskRootOnly = s.Ironmaster.WholeDiskRootOnly
	return c
}

func imageCredentials(d config.Deploy) image.Credentials {
	if d.ImageServerAuthStrategy != "http_basic" {
		return image.Credentials{}
	}
	return image.Credentials{User: d.ImageServerUser, Password: d.ImageServerPassword, Hosts: d.ImageServerAuthHosts,
		AnyHost: d.ImageServerAuthUnknown}
}

func tftpConfig(s *config.Settings) tftp.Config {
	c := tftp.DefaultConfig()
	c.Listen, c.Root = s.Ironmaster.TFTPListen, s.PXE.TFTPRoot
	c.MaxTransfers, c.RateLimit = s.Ironmaster.TFTPMaxTransfers, s.Ironmaster.TFTPRateLimit<<10
	return c
}

func glanceConfig(g config.Glance) image.GlanceConfig {
	return image.GlanceConfig{ServiceConfig: serviceConfig("glance", g.Auth, g.ServiceType), Retries: g.NumRetries}
}

// serviceConfig says how to log in for one service, as a group of ironic.conf tells.
func serviceConfig(group string, a config.Auth, serviceType string) keystone.ServiceConfig {
	return keystone.ServiceConfig{Config: keystoneConfig(group, a), ServiceType: serviceType,
		EndpointOverride: firstOf(a.EndpointOverride, a.Endpoint), RegionName: a.RegionName, ValidInterfaces: a.ValidInterfaces}
}

func keystoneConfig(group string, a config.Auth) keystone.Config {
	c := keystone.Config{Group: group,
		AuthType: keystone.AuthType(a.Type), AuthURL: a.URL, Username: a.Username, UserID: a.UserID, Password: a.Password,
		UserDomainName: a.UserDomainName, UserDomainID: a.UserDomainID, ProjectName: a.ProjectName, ProjectID: a.ProjectID,
		ProjectDomainName: a.ProjectDomainName, ProjectDomainID: a.ProjectDomainID, DomainName: a.DomainName,
		DomainID: a.DomainID, SystemScope: a.SystemScope != "", TrustID: a.TrustID,
		ApplicationCredentialID: a.ApplicationCredentialID, ApplicationCredentialName: a.ApplicationCredentialName,
		ApplicationCredentialSecret: a.ApplicationCredentialSecret, Token: a.Token, DefaultDomainName: a.DefaultDomainName,
		DefaultDomainID: a.DefaultDomainID, Timeout: a.Timeout,
		TLS: keystone.TLS{CAFile: a.CAFile, CertFile: a.CertFile, KeyFile: a.KeyFile, Insecure: a.Insecure},
	}
	if c.Timeout == 0 {
		c.Timeout = image.DefaultConfig().Glance.Timeout
	}
	return c
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

func agentConfig(s *config.Settings, apiURL string) agent.Config {
	a, d := s.Agent, s.Deploy
	c := agent.DefaultConfig()
	c.APIURL, c.VerifyCA = strings.TrimRight(apiURL, "/"), verification(a.VerifyCA)
	c.CommandTimeout, c.CommandAttempts = a.CommandTimeout, a.MaxCommandAttempts
	c.WaitAttempts, c.WaitInterval, c.ManageBoot = a.CommandWaitAttempts, a.CommandWaitInterval, a.ManageAgentBoot
	c.DownloadSource, c.StreamRawImages, c.ForceRawImages = a.ImageDownloadSource, a.StreamRawImages, s.Default.ForceRawImages
	c.ReservedMemory, c.EphemeralFormat, c.BootMode = int64(a.MemoryConsumedByAgent), s.PXE.DefaultEphemeralFormat, d.DefaultBootMode
	c.PowerOffRetries, c.PowerOffInterval = a.PostDeployPowerStateRetries, a.PostDeployPowerStateRetryDelay
	c.FastTrack, c.FastTrackTimeout = d.FastTrack, d.FastTrackTimeout
	c.Logs = agent.LogsConfig{Collect: agent.LogCollection(a.DeployLogsCollect), Dir: a.DeployLogsLocalPath}
	c.Erase = agent.EraseConfig{Iterations: d.ShredRandomOverwriteIterations, Zeroize: d.ShredFinalOverwriteWithZeros,
		ContinueIfSecureFail: d.ContinueIfSecureEraseFails, NVMeSecure: d.EnableNVMeSecureErase, ATASecure: d.EnableATASecureErase,
		Concurrency: d.DiskErasureConcurrency, SkipReadOnly: d.EraseSkipReadOnly, DevicesPriority: d.EraseDevicesPriority,
		MetadataPriority: d.EraseDevicesMetadataPriority}
	c.CreateRAIDPriority, c.DeleteRAIDPriority = d.CreateConfigurationPriority, d.DeleteConfigurationPriority
	return c
}

// verification is a setting as drivers write it: a boolean as text, or a path.
func verification(v config.Verification) string {
	switch {
	case !v.Enabled:
		return "False"
	case v.CAFile != "":
		return v.CAFile
	}
	return "True"
}

func redfishConfig(s *config.Settings, release messaging.Release) redfish.Config {
	r := s.Redfish
	c := redfish.DefaultConfig()
	c.ConnectionAttempts, c.RetryInterval, c.CacheSize = r.ConnectionAttempts, r.ConnectionRetryInterval, r.ConnectionCacheSize
	c.ConnectTimeout, c.ReadTimeout, c.AuthType = r.ConnectTimeout, r.ReadTimeout, r.AuthType
	c.PowerTimeout, c.BootsHTTP = s.Conductor.PowerStateChangeTimeout, bootsISOByHTTP(release)
	c.ChoosesTLS, c.TLS = release > messaging.V2026_1, redfish.Dialect{Minimum: r.TLSMinimumVersion, Ciphers: r.TLSCiphers}
	c.NamesVolumes, c.FullSizeByController = release >= messaging.V2025_1, release > messaging.V2026_1
	c.VendorOfRoot = release > messaging.V2026_1
	if release >= messaging.V34_0 {
		c.POSTAttempts, c.POSTDelay = r.POSTRetryAttempts, r.POSTRetryDelay
	}
	if release > messaging.V2026_1 {
		c.ConflictRetries, c.ConflictInterval = r.ConflictRetryAttempts, r.ConflictRetryInterval
	}
	if release >= messaging.V2025_1 {
		c.RestartPause, c.ForgivesRefusals = restartPause, true
	}
	c.Clock = redfish.ClockConfig{Steps: release >= messaging.V2025_2, Verified: r.VerifyBMCClock}
	c.BIOS = redfish.BIOSConfig{OneMark: release >= messaging.V2025_1, WithoutRamdisk: release > messaging.V2026_1}
	switch {
	case release >= messaging.V2026_1:
		c.Sensors = redfish.MachineSensors
	case release > messaging.V2023_2:
		c.Sensors = redfish.StorageSensors
	}
	c.Updates = redfish.UpdateConfig{Source: r.FirmwareSource, Services: release >= messaging.V2023_2,
		ByComponent: release > messaging.V2025_2, Delay: r.FirmwareRebootDelay, VersionCheck: r.FirmwareVersionInterval,
		NICWait: r.FirmwareNICWait, Successes: r.FirmwareSuccesses, ValidationInterval: r.FirmwareValidationInterval,
		ValidationTimeout: r.FirmwareValidationTimeout, Overall: r.FirmwareTimeout}
	if v := r.VerifyCA; v != nil {
		c.VerifyCA = redfish.Verify{Off: !v.Enabled, Path: v.CAFile}
	}
	return c
}

// restartPause is how long ironic gives a Redfish machine to go off.
const restartPause = 15 * time.Second

// bootsISOByHTTP tells whether a release of ironic knows the boot device uefihttp, and redfish-https, which uses it.
func bootsISOByHTTP(release messaging.Release) bool { return release >= messaging.V2024_1 }

func ipmiConfig(s *config.Settings, release messaging.Release) ipmi.Config {
	i, cfg := s.IPMI, s.Console
	c := ipmi.DefaultConfig()
	c.Transport, c.RetryTimeout, c.Interval = s.Ironmaster.IPMITransport, i.CommandRetryTimeout, i.MinCommandInterval
	c.ToolRetries, c.RetryableErrors, c.KillOnTimeout = i.UseIpmitoolRetries, i.AdditionalRetryable, i.KillOnTimeout
	c.DisableBootTimeout, c.CipherSuites, c.Verbose = i.DisableBootTimeout, i.CipherSuiteVersions, i.Debug
	c.PasswordInEnv, c.BootMode = i.StoreCredentialInEnv, s.Deploy.DefaultBootMode
	c.PowerTimeout, c.SoftPowerOffTimeout = s.Conductor.PowerStateChangeTimeout, s.Conductor.SoftPowerOffTimeout
	c.CheckAddress = release > messaging.V2025_2
	c.RawStep, c.ConsoleTakesOver = release >= messaging.V2025_1, release >= messaging.V2025_1
	c.Console = ipmi.ConsoleConfig{PIDDir: firstOf(cfg.TerminalPIDDir, s.Default.TempDir), TempDir: s.Default.TempDir,
		Idle: cfg.TerminalTimeout, StartTimeout: cfg.SubprocessTimeout, CheckInterval: cfg.SubprocessCheckingInterval,
		KillTimeout: cfg.KillTimeout, Address: cfg.SocatAddress, WebAddress: s.Default.MyIP, Host: s.Default.Host,
		Terminal: cfg.Terminal, CertDir: cfg.TerminalCertDir}
	ranges, _ := cfg.Ranges(s.Release) // Load has checked it
	for _, r := range ranges {
		c.Console.Ports = append(c.Console.Ports, ipmi.PortRange{First: r.First, Stop: r.Stop})
	}
	return c
}

func snmpConfig(s *config.Settings) snmp.Config {
	c := snmp.DefaultConfig()
	c.PowerTimeout, c.ActionDelay, c.RebootDelay = s.SNMP.PowerTimeout, s.SNMP.PowerActionDelay, s.SNMP.RebootDelay
	c.Timeout, c.Retries = s.SNMP.UDPTimeout, s.SNMP.UDPRetries
	return c
}

func fakeConfig(f config.Fake) (fake.Config, error) {
	var c fake.Config
	for _, o := range []struct {
		name, text string
		into       *fake.Delay
	}{
		{"power_delay", f.PowerDelay, &c.PowerDelay}, {"boot_delay", f.BootDelay, &c.BootDelay},
		{"deploy_delay", f.DeployDelay, &c.DeployDelay}, {"management_delay", f.ManagementDelay, &c.ManagementDelay},
		{"bios_delay", f.BIOSDelay, &c.BIOSDelay}, {"vendor_delay", f.VendorDelay, &c.VendorDelay},
		{"rescue_delay", f.RescueDelay, &c.RescueDelay}, {"inspect_delay", f.InspectDelay, &c.InspectDelay},
		{"firmware_delay", f.FirmwareDelay, &c.FirmwareDelay},
	} {
		d, err := fake.ParseDelay(o.text)
		if err != nil {
			return c, fmt.Errorf("[fake]%s: %w", o.name, err)
		}
		*o.into = d
	}
	return c, nil
}

// configRelease chooses the release whose defaults apply.
func configRelease(r messaging.Release) config.Release {
	switch {
	case r > messaging.V2025_2:
		return config.Newest
	case r >= messaging.V22_0:
		return config.R2025_1
	}
	return config.R2023_1
}
