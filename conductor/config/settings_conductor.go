package config

import "time"

// Conductor is [conductor]. An interval of zero switches the periodic work off.
type Conductor struct {
	WorkersPoolSize       int `opt:"workers_pool_size" default:"100" default29:"300" min:"3" reload:"true"`
	ReservedWorkersPool   int `opt:"reserved_workers_pool_percentage" default:"0" default29:"5" min:"0" max:"50" reload:"true"`
	PeriodicMaxWorkers    int `opt:"periodic_max_workers" default:"8" min:"1" reload:"true"`
	SyncPowerStateWorkers int `opt:"sync_power_state_workers" default:"8" min:"1"`

	// Rules by which network interfaces choose ports.
	TraitBasedNetworking   bool   `opt:"enable_trait_based_networking" default:"false"`
	NetworkTraitsFile      string `opt:"trait_based_networking_config_file" default:"/etc/ironic/trait_based_networking.yaml"`
	NetworkDefaultTrait    bool   `opt:"trait_based_networking_enable_default_trait" default:"true"`
	NetworkTraitsMustMatch bool   `opt:"trait_based_networking_raise_when_no_match" default:"true"`

	HeartbeatInterval time.Duration `opt:"heartbeat_interval" default:"10" min:"1"`
	HeartbeatTimeout  time.Duration `opt:"heartbeat_timeout" default:"60" max:"315576000"`
	Group             string        `opt:"conductor_group" default:""`

	SyncPowerStateInterval         time.Duration     `opt:"sync_power_state_interval" default:"60" defaultNew:"120" reload:"true"` // 0 and below: off
	PowerStateSyncMaxRetries       int               `opt:"power_state_sync_max_retries" default:"3" reload:"true"`
	ForcePowerStateDuringSync      bool              `opt:"force_power_state_during_sync" default:"true" reload:"true"`
	PowerFailureRecoveryInterval   time.Duration     `opt:"power_failure_recovery_interval" default:"300" min:"0" reload:"true"`
	PowerStateChangeTimeout        time.Duration     `opt:"power_state_change_timeout" default:"60" min:"2"`
	SoftPowerOffTimeout            time.Duration     `opt:"soft_power_off_timeout" default:"600" min:"1" reload:"true"`
	CheckProvisionStateInterval    time.Duration     `opt:"check_provision_state_interval" default:"60" min:"0" reload:"true"`
	CheckAllocationsInterval       time.Duration     `opt:"check_allocations_interval" default:"60" min:"0" reload:"true"`
	SyncLocalStateInterval         time.Duration     `opt:"sync_local_state_interval" default:"180" reload:"true"`
	DeployCallbackTimeout          time.Duration     `opt:"deploy_callback_timeout" default:"1800" min:"0" reload:"true"`
	CleanCallbackTimeout           time.Duration     `opt:"clean_callback_timeout" default:"1800" min:"0" reload:"true"`
	InspectWaitTimeout             time.Duration     `opt:"inspect_wait_timeout" default:"1800" min:"0" reload:"true"`
	RescueCallbackTimeout          time.Duration     `opt:"rescue_callback_timeout" default:"1800" min:"0" reload:"true"`
	ServiceCallbackTimeout         time.Duration     `opt:"service_callback_timeout" default:"1800" min:"0" reload:"true"`
	CheckRescueStateInterval       time.Duration     `opt:"check_rescue_state_interval" default:"60" min:"1" reload:"true"`
	RescuePasswordHashAlgorithm    string            `opt:"rescue_password_hash_algorithm" default:"sha256" choices:"sha256|sha512" reload:"true"`
	RequireRescuePasswordHashed    bool              `opt:"require_rescue_password_hashed" default:"false" reload:"true"`
	NodeLockedRetryAttempts        int               `opt:"node_locked_retry_attempts" default:"3" reload:"true"`
	NodeLockedRetryInterval        time.Duration     `opt:"node_locked_retry_interval" default:"1" reload:"true"`
	MaxConcurrentDeploy            int               `opt:"max_concurrent_deploy" default:"250" min:"1" reload:"true"`
	MaxConcurrentClean             int               `opt:"max_concurrent_clean" default:"50" min:"1" reload:"true"`
	MaxConcurrentPerGroup          bool              `opt:"max_concurrent_per_conductor_group" default:"false" reload:"true"`
	GracefulShutdownTimeout        time.Duration     `opt:"graceful_shutdown_timeout" default:"60" old:"DEFAULT.graceful_shutdown_timeout" reload:"true"`
	NodeHistory                    bool              `opt:"node_history" default:"true" reload:"true"`
	StaleCleanUpInterval           time.Duration     `opt:"conductor_cleanup_interval" default:"86400" min:"0"`
	StaleCleanUpTimeout            time.Duration     `opt:"conductor_cleanup_timeout" default:"1209600" min:"60" reload:"true"`
	StaleCleanUpBatch              int               `opt:"conductor_cleanup_batch_size" default:"50" min:"1" reload:"true"`
	HistoryMaxEntries              int               `opt:"node_history_max_entries" default:"300" min:"0" reload:"true"`
	HistoryMinimumDays             int               `opt:"node_history_minimum_days" default:"0" min:"0" reload:"true"`
	HistoryCleanUpInterval         time.Duration     `opt:"node_history_cleanup_interval" default:"86400" min:"0"`
	HistoryCleanUpBatch            int               `opt:"node_history_cleanup_batch_count" default:"1000" min:"0"`
	HealthMonitoring               bool              `opt:"enable_health_monitoring" default:"true" reload:"true"`
	RecordStepFlows                bool              `opt:"record_step_flows_in_history" default:"false" defaultNew:"true" reload:"true"`
	CacheCleanUpInterval           time.Duration     `opt:"cache_clean_up_interval" default:"3600" min:"0" reload:"true"`
	AutomatedClean                 bool              `opt:"automated_clean" default:"true" reload:"true"`
	CleaningStepSource             string            `opt:"automated_cleaning_step_source" default:"autogenerated" choices:"autogenerated|runbook|hybrid" reload:"true"`
	CleaningRunbook                string            `opt:"automated_cleaning_runbook" reload:"true"` // UUID or name
	CleaningRunbookByClass         map[string]string `opt:"automated_cleaning_runbook_by_resource_class" default:"" reload:"true"`
	CleaningRunbookFromNode        bool              `opt:"automated_cleaning_runbook_from_node" default:"false" reload:"true"`
	CleaningRunbookTraits          bool              `opt:"automated_cleaning_runbook_validate_traits" default:"true" reload:"true"`
	PoweroffInCleanFail            bool              `opt:"poweroff_in_cleanfail" default:"false" reload:"true"`
	PoweroffInServiceFail          bool              `opt:"poweroff_in_servicefail" default:"false" reload:"true"`
	AllowDeletingAvailable         bool              `opt:"allow_deleting_available_nodes" default:"true" reload:"true"`
	AllowProvisioningInMaintenance bool              `opt:"allow_provisioning_in_maintenance" default:"true" reload:"true"`

	// Overrides are interface.step to priority, one map for each occurrence; later maps win.
	CleanStepPriorityOverride  []map[string]string `opt:"clean_step_priority_override" multi:"true"`
	VerifyStepPriorityOverride []map[string]string `opt:"verify_step_priority_override" multi:"true"`

	// Images for nodes whose driver_info names none; the maps go from CPU architecture to image and win over the rest.
	DeployKernel        string            `opt:"deploy_kernel"`
	DeployRamdisk       string            `opt:"deploy_ramdisk"`
	RescueKernel        string            `opt:"rescue_kernel"`
	RescueRamdisk       string            `opt:"rescue_ramdisk"`
	Bootloader          string            `opt:"bootloader"`
	DeployKernelByArch  map[string]string `opt:"deploy_kernel_by_arch" default:""`
	DeployRamdiskByArch map[string]string `opt:"deploy_ramdisk_by_arch" default:""`
	RescueKernelByArch  map[string]string `opt:"rescue_kernel_by_arch" default:""`
	RescueRamdiskByArch map[string]string `opt:"rescue_ramdisk_by_arch" default:""`
	BootloaderByArch    map[string]string `opt:"bootloader_by_arch" default:""`

	PermittedImageFormats          []string `opt:"permitted_image_formats" default:"raw,qcow2,iso" default29:"raw,gpt,qcow2,iso"`
	DisableDeepImageInspection     bool     `opt:"disable_deep_image_inspection" default:"false"`
	DisableSupportForChecksumFiles bool     `opt:"disable_support_for_checksum_files" default:"false"`
	DisableFileChecksum            bool     `opt:"disable_file_checksum" default:"false"`
	FileURLAllowedPaths            []string `opt:"file_url_allowed_paths" default:"/var/lib/ironic,/shared/html,/templates,/opt/cache/files,/vagrant" defaultNew:"/var/lib/ironic"`
	AutomaticLessee                bool     `opt:"automatic_lessee" default:"false" default29:"true" reload:"true"`
	// LesseeSource is where the lessee is read. Releases before 2025.1, which lack the option, read it from the request.
	LesseeSource string `opt:"automatic_lessee_source" default:"request" default29:"instance" choices:"instance|request|none" reload:"true"`
	// DisallowedBootModes are those that no node is deployed in (properties.boot_mode).
	DisallowedBootModes []string `opt:"disallowed_deployment_boot_modes" default:"" choices:"uefi|bios" reload:"true"`
}

// Deploy is [deploy]. Priorities are nil when the agent's or driver's own applies; 0 switches the step off.
type Deploy struct {
	ExternalCallbackURL string `opt:"external_callback_url"`

	// What machines read over HTTP while they boot from the network: the folder, and how they reach it.
	HTTPRoot string `opt:"http_root" default:"/httpboot"`
	HTTPURL  string `opt:"http_url"`

	DefaultBootMode            string        `opt:"default_boot_mode" default:"uefi" choices:"uefi|bios"`
	FastTrack                  bool          `opt:"fast_track" default:"false"`
	FastTrackTimeout           time.Duration `opt:"fast_track_timeout" default:"300" min:"0" max:"300"`
	PowerOffAfterDeployFailure bool          `opt:"power_off_after_deploy_failure" default:"true" reload:"true"`

	EraseDevicesPriority         *int `opt:"erase_devices_priority"`
	EraseDevicesMetadataPriority *int `opt:"erase_devices_metadata_priority"`
	CreateConfigurationPriority  *int `opt:"create_configuration_priority"`
	DeleteConfigurationPriority  *int `opt:"delete_configuration_priority"`

	ShredRandomOverwriteIterations int  `opt:"shred_random_overwrite_iterations" default:"1" min:"0"`
	ShredFinalOverwriteWithZeros   bool `opt:"shred_final_overwrite_with_zeros" default:"true"`
	EnableATASecureErase           bool `opt:"enable_ata_secure_erase" default:"true"`
	EnableNVMeSecureErase          bool `opt:"enable_nvme_secure_erase" default:"true"`
	ContinueIfSecureEraseFails     bool `opt:"continue_if_disk_secure_erase_fails" default:"false"`
	DiskErasureConcurrency         int  `opt:"disk_erasure_concurrency" default:"4" min:"1"`
	EraseSkipReadOnly              bool `opt:"erase_skip_read_only" default:"false"`

	ISOMasterPath              string `opt:"iso_master_path" default:"/var/lib/ironic/master_iso_images"`
	RamdiskImageDownloadSource string `opt:"ramdisk_image_download_source" default:"local" choices:"http|local|swift"`
	ImageServerAuthStrategy    string `opt:"image_server_auth_strategy" default:"noauth" choices:"noauth|http_basic"`
	ImageServerUser            string `opt:"image_server_user"`
	ImageServerPassword        string `opt:"image_server_password" secret:"true"`
	// Who is sent user and password: these hosts, or when there are none and ImageServerAuthUnknown is set, everybody.
	ImageServerAuthHosts   []string `opt:"image_server_auth_hosts" default:""`
	ImageServerAuthUnknown bool     `opt:"image_server_auth_permit_unknown_hosts" default:"true"`
}

// Agent is [agent].
type Agent struct {
	ImageDownloadSource            string        `opt:"image_download_source" default:"http" choices:"swift|http|local"`
	StreamRawImages                bool          `opt:"stream_raw_images" default:"true"`
	CommandTimeout                 time.Duration `opt:"command_timeout" default:"60"` // of one HTTP request
	NeutronAgentMaxAttempts        int           `opt:"neutron_agent_max_attempts" default:"100"`
	NeutronAgentRetryInterval      time.Duration `opt:"neutron_agent_status_retry_interval" default:"10"`
	NeutronAgentPollInterval       time.Duration `opt:"neutron_agent_poll_interval" default:"2"`
	CommandWaitAttempts            int           `opt:"command_wait_attempts" default:"100"`
	CommandWaitInterval            time.Duration `opt:"command_wait_interval" default:"6"`
	MaxCommandAttempts             int           `opt:"max_command_attempts" default:"3" min:"1"`
	RequireTLS                     bool          `opt:"require_tls" default:"false" default29:"true"`
	VerifyCA                       Verification  `opt:"verify_ca" default:"True"`
	APICAFile                      string        `opt:"api_ca_file"`
	CertificatesPath               string        `opt:"certificates_path" default:"/var/lib/ironic/certificates"`
	DeployLogsCollect              string        `opt:"deploy_logs_collect" default:"on_failure" choices:"always|on_failure|never"`
	DeployLogsLocalPath            string        `opt:"deploy_logs_local_path" default:"/var/log/ironic/deploy"`
	MemoryConsumedByAgent          int           `opt:"memory_consumed_by_agent" default:"0"` // MiB
	PostDeployPowerStateRetries    int           `opt:"post_deploy_get_power_state_retries" default:"6"`
	PostDeployPowerStateRetryDelay time.Duration `opt:"post_deploy_get_power_state_retry_interval" default:"5"`
	ManageAgentBoot                bool          `opt:"manage_agent_boot" default:"true"`
	AllowMD5Checksum               bool          `opt:"allow_md5_checksum" default:"true"`
}

// Redfish is [redfish].
type Redfish struct {
	ConnectionAttempts      int           `opt:"connection_attempts" default:"5" min:"1"`
	ConnectionRetryInterval time.Duration `opt:"connection_retry_interval" default:"4" min:"1"`
	ConnectionCacheSize     int           `opt:"connection_cache_size" default:"1000" min:"0"` // sessions; 0 keeps none
	ConnectTimeout          time.Duration `opt:"connect_timeout" default:"30" min:"1"`
	ReadTimeout             time.Duration `opt:"read_timeout" default:"60" min:"1"`
	AuthType                string        `opt:"auth_type" default:"auto" choices:"basic|session|auto"`
	VerifyCA                *Verification `opt:"verify_ca"`                                 // for nodes that say nothing; nil verifies
	TLSMinimumVersion       string        `opt:"tls_minimum_version" choices:"1.1|1.2|1.3"` // for nodes that say nothing, as tls_ciphers
	TLSCiphers              string        `opt:"tls_ciphers"`
	POSTRetryAttempts       int           `opt:"post_boot_retry_attempts" default:"6" min:"1"`
	POSTRetryDelay          time.Duration `opt:"post_boot_retry_delay" default:"5" min:"1"`
	ConflictRetryAttempts   int           `opt:"power_on_conflict_retry_attempts" default:"6" min:"0"`
	ConflictRetryInterval   time.Duration `opt:"power_on_conflict_retry_interval" default:"10" min:"1"`
	VerifyBMCClock          bool          `opt:"enable_verify_bmc_clock" default:"false"`
	KernelAppendParams      string        `opt:"kernel_append_params" default:"nofb nomodeset vga=normal" default29:"nofb vga=normal"`
	RAIDStatusInterval      time.Duration `opt:"raid_config_status_interval" default:"60" min:"0"`
	RAIDFailInterval        time.Duration `opt:"raid_config_fail_interval" default:"60" min:"0"`
	FirmwareStatusInterval  time.Duration `opt:"firmware_update_status_interval" default:"60" min:"0"`
	FirmwareFailInterval    time.Duration `opt:"firmware_update_fail_interval" default:"60" min:"0"`
	FirmwareSource          string        `opt:"firmware_source" default:"http" choices:"http|local|swift"`

	FirmwareRebootDelay        time.Duration `opt:"firmware_update_reboot_delay" default:"300" min:"0"`
	FirmwareVersionInterval    time.Duration `opt:"firmware_update_bmc_version_check_interval" default:"30" min:"0"`
	FirmwareNICWait            time.Duration `opt:"firmware_update_nic_starting_wait" default:"30" min:"0"`
	FirmwareSuccesses          int           `opt:"firmware_update_required_successes" default:"3" min:"0"`
	FirmwareValidationInterval time.Duration `opt:"firmware_update_validation_interval" default:"30" min:"0"`
	FirmwareValidationTimeout  time.Duration `opt:"firmware_update_resource_validation_timeout" default:"480" min:"0"`
	FirmwareTimeout            time.Duration `opt:"firmware_update_overall_timeout" default:"7200" min:"0"`

	DefaultInspectionHooks string `opt:"default_inspection_hooks" default:"validate-interfaces,ports,architecture"`
	InspectionHooks        string `opt:"inspection_hooks" default:"$default_inspection_hooks"`
}

// Fake is [fake]: seconds that the fake interfaces wait, a number or "from,to".
type Fake struct {
	PowerDelay      string `opt:"power_delay" default:"0"`
	BootDelay       string `opt:"boot_delay" default:"0"`
	DeployDelay     string `opt:"deploy_delay" default:"0"`
	ManagementDelay string `opt:"management_delay" default:"0"`
	BIOSDelay       string `opt:"bios_delay" default:"0"`
	VendorDelay     string `opt:"vendor_delay" default:"0"`
	FirmwareDelay   string `opt:"firmware_delay" default:"0"`
	InspectDelay    string `opt:"inspect_delay" default:"0"`
	RescueDelay     string `opt:"rescue_delay" default:"0"`
}

// DRAC is [drac].
type DRAC struct {
	RAIDJobTimeout time.Duration `opt:"raid_job_timeout" default:"300" min:"1"`
}

// ILO is [ilo], which releases up to 35 have.
type ILO struct {
	ClientPort         int           `opt:"client_port" default:"443" min:"1" max:"65535"`
	ClientTimeout      time.Duration `opt:"client_timeout" default:"60" min:"1"`
	CAFile             string        `opt:"ca_file"`
	VerifyCA           Verification  `opt:"verify_ca" default:"True"`
	DefaultBootMode    string        `opt:"default_boot_mode" default:"auto" choices:"auto|bios|uefi"`
	PowerWait          time.Duration `opt:"power_wait" default:"2" min:"1"`
	CertPath           string        `opt:"cert_path" default:"/var/lib/ironic/ilo/"`
	KernelAppendParams string        `opt:"kernel_append_params" default:"nofb nomodeset vga=normal" default29:"nofb vga=normal"`

	ResetILO            int `opt:"clean_priority_reset_ilo" default:"0" min:"0"`
	ResetBIOSToDefault  int `opt:"clean_priority_reset_bios_to_default" default:"10" min:"0"`
	ResetSecureBootKeys int `opt:"clean_priority_reset_secure_boot_keys_to_default" default:"20" min:"0"`
	ClearSecureBootKeys int `opt:"clean_priority_clear_secure_boot_keys" default:"0" min:"0"`
	ResetILOCredential  int `opt:"clean_priority_reset_ilo_credential" default:"30" min:"0"`
}

// IRMC is [irmc], which releases up to 35 have.
type IRMC struct {
	Port               int           `opt:"port" default:"443" choices:"443|80"`
	AuthMethod         string        `opt:"auth_method" default:"basic" choices:"basic|digest"`
	ClientTimeout      time.Duration `opt:"client_timeout" default:"60" min:"1"`
	SensorMethod       string        `opt:"sensor_method" default:"ipmitool" choices:"ipmitool|scci"`
	SNMPVersion        string        `opt:"snmp_version" default:"v2c" choices:"v1|v2c|v3"`
	SNMPPort           int           `opt:"snmp_port" default:"161" min:"1" max:"65535"`
	SNMPCommunity      string        `opt:"snmp_community" default:"public"`
	SNMPSecurity       string        `opt:"snmp_security"`
	KernelAppendParams string        `opt:"kernel_append_params" default29:"nofb vga=normal"`
}
