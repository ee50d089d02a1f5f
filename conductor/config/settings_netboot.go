package config

import "time"

// PXE is [pxe]: the image cache, and what machines boot from the network.
type PXE struct {
	BootRetryTimeout  time.Duration `opt:"boot_retry_timeout" min:"60"` // 0: no retries
	BootRetryInterval time.Duration `opt:"boot_retry_check_interval" default:"90" min:"1"`

	ImagesPath             string        `opt:"images_path" default:"/var/lib/ironic/images/"`
	InstanceMasterPath     string        `opt:"instance_master_path" default:"/var/lib/ironic/master_images"` // empty: no cache
	ImageCacheSize         int           `opt:"image_cache_size" default:"20480"`                             // MiB
	ImageCacheTTL          time.Duration `opt:"image_cache_ttl" default:"10080" unit:"m"`                     // minutes in the file
	DefaultEphemeralFormat string        `opt:"default_ephemeral_format" default:"ext4"`

	TFTPServer     string `opt:"tftp_server" default:"$my_ip"`
	TFTPRoot       string `opt:"tftp_root" default:"/tftpboot"`
	TFTPMasterPath string `opt:"tftp_master_path" default:"/tftpboot/master_images"` // empty: each node downloads anew
	ConfigSubdir   string `opt:"pxe_config_subdir" default:"pxelinux.cfg"`
	// Modes of what is created; nil leaves them to the umask.
	DirPermission  *FileMode `opt:"dir_permission"`
	FilePermission *FileMode `opt:"file_permission" default:"420"`

	// Boot files by boot mode; the maps go from CPU architecture, in the newest release also from architecture and boot mode,
	// and win.
	BootfileName           string            `opt:"pxe_bootfile_name" default:"pxelinux.0"`
	UEFIBootfileName       string            `opt:"uefi_pxe_bootfile_name" default:"bootx64.efi"`
	IPXEBootfileName       string            `opt:"ipxe_bootfile_name" default:"undionly.kpxe"`
	UEFIIPXEBootfileName   string            `opt:"uefi_ipxe_bootfile_name" default:"snponly.efi"`
	BootfileNameByArch     map[string]string `opt:"pxe_bootfile_name_by_arch" default:""`
	IPXEBootfileNameByArch map[string]string `opt:"ipxe_bootfile_name_by_arch" default:""`
	LoaderFilePaths        map[string]string `opt:"loader_file_paths" default:""` // name below the roots to source

	// Jinja2 templates. A default stands for the template that is built in.
	ConfigTemplate           string            `opt:"pxe_config_template" default:"$pybasedir/drivers/modules/pxe_config.template"`
	UEFIConfigTemplate       string            `opt:"uefi_pxe_config_template" default:"$pybasedir/drivers/modules/pxe_grub_config.template"`
	IPXEConfigTemplate       string            `opt:"ipxe_config_template" default:"$pybasedir/drivers/modules/ipxe_config.template"`
	ConfigTemplateByArch     map[string]string `opt:"pxe_config_template_by_arch" default:""`
	IPXEBootScript           string            `opt:"ipxe_boot_script" default:"$pybasedir/drivers/modules/boot.ipxe"`
	IPXEFallbackScript       string            `opt:"ipxe_fallback_script"`
	InitialGrubTemplate      string            `opt:"initial_grub_template" default:"$pybasedir/drivers/modules/initial_grub_cfg.template"`
	InsecureTemplateOverride bool              `opt:"enable_insecure_template_override" default:"false"` // driver_info.pxe_template

	KernelAppendParams string        `opt:"kernel_append_params" default:"nofb nomodeset vga=normal" default29:"nofb vga=normal" old:"pxe_append_params"`
	IPXETimeout        time.Duration `opt:"ipxe_timeout" default:"0"` // of one download by iPXE; 0: none
	IPXEUseSwift       bool          `opt:"ipxe_use_swift" default:"false"`
	NetbootFallback    bool          `opt:"enable_netboot_fallback" default:"false"`
	IPVersion          string        `opt:"ip_version" default:"4" choices:"4|6"` // without effect, as in ironic: both are told
}

// DHCP is [dhcp].
type DHCP struct {
	Provider string `opt:"dhcp_provider" default:"neutron"`
}

// Dnsmasq is [dnsmasq]: the folders that a dnsmasq reads.
type Dnsmasq struct {
	OptsDir   string `opt:"dhcp_optsdir" default:"/etc/dnsmasq.d/optsdir.d"`
	HostsDir  string `opt:"dhcp_hostsdir" default:"/etc/dnsmasq.d/hostsdir.d"`
	LeaseFile string `opt:"dhcp_leasefile" default:"/var/lib/dnsmasq/dnsmasq.leases"`
}

// Neutron is [neutron]. Networks are given by UUID or name.
type Neutron struct {
	Auth
	ServiceType    string        `opt:"service_type" default:"network"`
	RequestTimeout time.Duration `opt:"request_timeout" default:"45"` // of one HTTP request
	Retries        int           `opt:"retries" default:"3"`
	PortSetupDelay time.Duration `opt:"port_setup_delay" default:"0" min:"0"` // after a change of DHCP options
	AddAllPorts    bool          `opt:"add_all_ports" default:"false"`        // also those that are not PXE-enabled

	CleaningNetwork            string   `opt:"cleaning_network" old:"cleaning_network_uuid"`
	CleaningSecurityGroups     []string `opt:"cleaning_network_security_groups" default:""`
	ProvisioningNetwork        string   `opt:"provisioning_network" old:"provisioning_network_uuid"`
	ProvisioningSecurityGroups []string `opt:"provisioning_network_security_groups" default:""`
	RescuingNetwork            string   `opt:"rescuing_network"`
	RescuingSecurityGroups     []string `opt:"rescuing_network_security_groups" default:""`
	InspectionNetwork          string   `opt:"inspection_network"`
	InspectionSecurityGroups   []string `opt:"inspection_network_security_groups" default:""`
	ServicingNetwork           string   `opt:"servicing_network"`
	ServicingSecurityGroups    []string `opt:"servicing_network_security_groups" default:""`

	DHCPv6StatefulAddresses  int  `opt:"dhcpv6_stateful_address_count" default:"4"`
	AllowDisablingPowerOff   bool `opt:"allow_disabling_power_off" default:"false"`   // with the network interface neutron
	FailOnPortBindingFailure bool `opt:"fail_on_port_binding_failure" default:"true"` // ironic 30.0 and newer
}

// Anaconda is [anaconda].
type Anaconda struct {
	DefaultTemplate   string `opt:"default_ks_template" default:"$pybasedir/drivers/modules/ks.cfg.template"`
	InsecureHeartbeat bool   `opt:"insecure_heartbeat" default:"false"`
}
