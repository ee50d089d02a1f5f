package config

import "time"

// Settings is every option of ironic.conf that Ironmaster honours, with upstream's name in the opt tag and its
// defaults. Strings whose upstream default is None are empty when unset, unless a pointer tells the two apart.
type Settings struct {
	Release Release // whose defaults apply

	Default       Default       `group:"DEFAULT"`
	Log           Log           `group:"DEFAULT"`
	Conductor     Conductor     `group:"conductor"`
	Deploy        Deploy        `group:"deploy"`
	Agent         Agent         `group:"agent"`
	PXE           PXE           `group:"pxe"`
	DHCP          DHCP          `group:"dhcp"`
	Dnsmasq       Dnsmasq       `group:"dnsmasq"`
	Cinder        Cinder        `group:"cinder"`
	Neutron       Neutron       `group:"neutron"`
	Redfish       Redfish       `group:"redfish"`
	Inspector     Inspector     `group:"inspector"`
	AutoDiscovery AutoDiscovery `group:"auto_discovery"`
	Rules         Rules         `group:"inspection_rules"`
	Inventory     Inventory     `group:"inventory"`
	Fake          Fake          `group:"fake"`
	DRAC          DRAC          `group:"drac"`
	ILO           ILO           `group:"ilo"`
	IRMC          IRMC          `group:"irmc"`
	IPMI          IPMI          `group:"ipmi"`
	Console       Console       `group:"console"`
	VNC           VNC           `group:"vnc"`
	SNMP          SNMP          `group:"snmp"`
	SensorData    SensorData    `group:"sensor_data"`
	Metrics       Metrics       `group:"metrics"`
	Statsd        Statsd        `group:"metrics_statsd"`
	DiskUtils     DiskUtils     `group:"disk_utils"`
	ISCSI         ISCSI         `group:"iscsi"`
	Anaconda      Anaconda      `group:"anaconda"`
	API           API           `group:"api"`
	Glance        Glance        `group:"glance"`
	Nova          Nova          `group:"nova"`
	Swift         Swift         `group:"swift"`
	Molds         Molds         `group:"molds"`
	Catalog       Catalog       `group:"service_catalog"`
	Database      Database      `group:"database"`
	Rabbit        Rabbit        `group:"oslo_messaging_rabbit"`
	Notifications Notifications `group:"oslo_messaging_notifications"`
	JSONRPC       JSONRPC       `group:"json_rpc"`
	SSL           SSL           `group:"ssl"`
	Keystone      Keystone      `group:"keystone_authtoken"`
	Ironmaster    Ironmaster    `group:"ironmaster"`
}

// Default is [DEFAULT] without the options of logging.
type Default struct {
	Host string `opt:"host"` // the conductor's identity; Load computes the default
	MyIP string `opt:"my_ip"`
	// MyIPv6 is what machines that boot over IPv6 reach this host by.
	MyIPv6 string `opt:"my_ipv6"`

	RPCTransport       string        `opt:"rpc_transport" default:"oslo" choices:"oslo|json-rpc|none"`
	AuthStrategy       string        `opt:"auth_strategy" default:"keystone" choices:"noauth|keystone|http_basic"` // unless [json_rpc] has its own
	TransportURL       string        `opt:"transport_url" default:"rabbit://" secret:"true"`
	ControlExchange    string        `opt:"control_exchange" default:"ironic"`
	RPCResponseTimeout time.Duration `opt:"rpc_response_timeout" default:"60"` // of callers, who read the same file
	ExecutorThreads    int           `opt:"executor_thread_pool_size" default:"64" old:"rpc_thread_pool_size"`
	PinReleaseVersion  string        `opt:"pin_release_version"`

	HashPartitionExponent int           `opt:"hash_partition_exponent" default:"5" min:"0" max:"20"`
	HashRingResetInterval time.Duration `opt:"hash_ring_reset_interval" default:"15"`
	HashRingAlgorithm     string        `opt:"hash_ring_algorithm" default:"md5"`

	EnabledHardwareTypes []string `opt:"enabled_hardware_types" default:"ipmi,redfish"`
	EnabledBIOS          []string `opt:"enabled_bios_interfaces" default:"no-bios,redfish"`
	EnabledBoot          []string `opt:"enabled_boot_interfaces" default:"ipxe,pxe,redfish-virtual-media"`
	EnabledConsole       []string `opt:"enabled_console_interfaces" default:"no-console"`
	EnabledDeploy        []string `opt:"enabled_deploy_interfaces" default:"direct,ramdisk" defaultNew:"autodetect,direct,ramdisk,bootc"`
	AutodetectDeploy     []string `opt:"autodetect_deploy_interfaces" default:"ramdisk,bootc,direct"`
	EnabledFirmware      []string `opt:"enabled_firmware_interfaces" default:"no-firmware"`
	EnabledInspect       []string `opt:"enabled_inspect_interfaces" default:"no-inspect,redfish"`
	EnabledManagement    []string `opt:"enabled_management_interfaces"` // nil: the first one of each hardware type
	EnabledNetwork       []string `opt:"enabled_network_interfaces" default:"flat,noop"`
	EnabledPower         []string `opt:"enabled_power_interfaces"` // nil: the first one of each hardware type
	EnabledRAID          []string `opt:"enabled_raid_interfaces" default:"agent,no-raid,redfish"`
	EnabledRescue        []string `opt:"enabled_rescue_interfaces" default:"no-rescue"`
	EnabledStorage       []string `opt:"enabled_storage_interfaces" default:"cinder,noop"`
	EnabledVendor        []string `opt:"enabled_vendor_interfaces" default:"ipmitool,redfish,no-vendor"`

	DefaultBIOS       string `opt:"default_bios_interface"`
	DefaultBoot       string `opt:"default_boot_interface"`
	DefaultConsole    string `opt:"default_console_interface"`
	DefaultDeploy     string `opt:"default_deploy_interface"`
	DefaultFirmware   string `opt:"default_firmware_interface"`
	DefaultInspect    string `opt:"default_inspect_interface"`
	DefaultManagement string `opt:"default_management_interface"`
	DefaultNetwork    string `opt:"default_network_interface"`
	DefaultPower      string `opt:"default_power_interface"`
	DefaultRAID       string `opt:"default_raid_interface"`
	DefaultRescue     string `opt:"default_rescue_interface"`
	DefaultStorage    string `opt:"default_storage_interface" default:"noop"`
	DefaultVendor     string `opt:"default_vendor_interface"`

	TempDir string `opt:"tempdir" default:"/tmp"`

	DefaultPortgroupMode string `opt:"default_portgroup_mode" default:"active-backup"`

	ForceRawImages           bool    `opt:"force_raw_images" default:"true"`
	RawImageGrowthFactor     float64 `opt:"raw_image_growth_factor" default:"2.0" min:"1"`
	ImageDownloadConcurrency int     `opt:"image_download_concurrency" default:"20" min:"1"`
	ESPImage                 string  `opt:"esp_image"`
	GrubConfigPath           string  `opt:"grub_config_path" default:"EFI/BOOT/grub.cfg"`
	IsolinuxBin              string  `opt:"isolinux_bin"` // looked for when empty
	Ldlinux                  string  `opt:"ldlinux_c32"`

	WebserverVerifyCA          Verification  `opt:"webserver_verify_ca" default:"True"`
	WebserverConnectionTimeout time.Duration `opt:"webserver_connection_timeout" default:"60"`
	WebserverVerifyTimeout     time.Duration `opt:"webserver_verify_timeout" default:"0" defaultNew:"5"` // 0: webserver_connection_timeout

	// NotificationLevel is the lowest level that is sent; empty sends nothing.
	NotificationLevel            string   `opt:"notification_level" choices:"debug|info|warning|error|critical"`
	VersionedNotificationsTopics []string `opt:"versioned_notifications_topics" default:"ironic_versioned_notifications"`
	LogInDBMaxSize               int      `opt:"log_in_db_max_size" default:"4096" reload:"true"` // characters of last_error and the like

	DrainShutdownTimeout time.Duration `opt:"drain_shutdown_timeout" default:"1800" min:"0" reload:"true"` // after SIGUSR2; 0: for ever
}

// Log is oslo.log's part of [DEFAULT].
type Log struct {
	Debug     bool   `opt:"debug" default:"false" reload:"true"`
	File      string `opt:"log_file" old:"logfile"`
	Dir       string `opt:"log_dir" old:"logdir"`
	UseStderr bool   `opt:"use_stderr" default:"false"`
	UseJSON   bool   `opt:"use_json" default:"false"`
}

// Metrics is [metrics]. Ironic's conductor never puts its host into a name, whatever prepend_host says.
type Metrics struct {
	Backend      string `opt:"backend" default:"noop" choices:"noop|statsd|collector"`
	GlobalPrefix string `opt:"global_prefix"`
}

// Statsd is [metrics_statsd].
type Statsd struct {
	Host string `opt:"statsd_host" default:"localhost"`
	Port int    `opt:"statsd_port" default:"8125" min:"0" max:"65535"`
}

// DiskUtils is [disk_utils]: limits of qemu-img.
type DiskUtils struct {
	ImageConvertMemoryLimit int `opt:"image_convert_memory_limit" default:"2048" min:"1"` // MiB
	ImageConvertAttempts    int `opt:"image_convert_attempts" default:"3" min:"1"`
	// EFISystemPartitionSize is for the deploy interface iscsi, in MiB; agents have an option of their own.
	EFISystemPartitionSize int64 `opt:"efi_system_partition_size" default:"200" min:"1" max:"1048576"`
}

// ISCSI is [iscsi], as ironic had it until Wallaby.
type ISCSI struct {
	PortalPort     int    `opt:"portal_port" default:"3260" min:"1" max:"65535"`
	ConvFlags      string `opt:"conv_flags"`
	VerifyAttempts int    `opt:"verify_attempts" default:"3" min:"1" old:"disk_utils.iscsi_verify_attempts,deploy.iscsi_verify_attempts"`
}

// API is what a conductor reads of [api].
type API struct {
	PublicEndpoint   string `opt:"public_endpoint"`                          // where agents call back, unless the catalog tells
	MaxJSONBodyDepth int    `opt:"max_json_body_depth" default:"25" min:"8"` // of requests of JSON-RPC too, in the newest release

	// Steps that nothing may run, as interface.step. Ironic has them since 37.0, and since the security updates of 29.0 and later.
	DisallowDeploySteps  []string `opt:"disallow_deploy_steps" default:"" default29:"vendor.send_raw" reload:"true"`
	DisallowServiceSteps []string `opt:"disallow_service_steps" default:"" default29:"vendor.send_raw" reload:"true"`
	DisallowCleanSteps   []string `opt:"disallow_clean_steps" default:"" default29:"vendor.send_raw" reload:"true"`
}

// Ironmaster is Ironmaster's own group. An unknown option in it is an error.
type Ironmaster struct {
	WholeDiskRootOnly     bool          `opt:"whole_disk_root_only" default:"true"`                            // refuse swap and ephemeral with a whole-disk image
	StateFile             string        `opt:"state_file" default:"$state_path/ironmaster.db"`                 // locks, inbox and outbox of this worker
	AdminListen           string        `opt:"admin_listen" default:"127.0.0.1:8990"`                          // metrics, health, locks
	ImageServerListen     string        `opt:"image_server_listen" default:":8182"`                            // images, ISOs and config drives
	ImageServerURL        string        `opt:"image_server_url"`                                               // how machines reach it; default http://$my_ip:<port of image_server_listen>
	ImageConvertTimeLimit time.Duration `opt:"image_convert_time_limit" default:"600" min:"1"`                 // of one qemu-img run
	ImageOutageLimit      time.Duration `opt:"image_outage_limit" default:"1800" min:"0"`                      // of Glance, Keystone or a web server, within a flow
	ISCSIStallLimit       time.Duration `opt:"iscsi_stall_limit" default:"60" min:"1"`                         // how long an image on its way over iSCSI may move no bytes
	MaxImageSize          int64         `opt:"max_image_size" default:"1048576" min:"1" max:"8388608"`         // MiB of virtual size, at most 8 TiB
	TFTPListen            string        `opt:"tftp_listen"`                                                    // [pxe]tftp_root by TFTP; empty serves nothing
	TFTPMaxTransfers      int           `opt:"tftp_max_transfers" default:"1000" min:"1" max:"10000"`          // at once
	TFTPRateLimit         int64         `opt:"tftp_rate_limit" default:"0" min:"0" max:"10485760"`             // KiB a second of each transfer; 0: no limit
	IPMITransport         string        `opt:"ipmi_transport" default:"auto" choices:"auto|ipmitool"`          // auto: IPMI by itself where it can
	ProgressInterval      time.Duration `opt:"progress_interval" default:"5" min:"1" max:"3600" reload:"true"` // between events while bytes flow
}
