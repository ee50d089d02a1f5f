package image

import (
	"time"

	"github.com/ironmaster/ironmaster/store/keystone"
)

const (
	// MiB is the unit of the size options of ironic.conf.
	MiB = 1 << 20
	// tiB is the unit of the limit on virtual sizes.
	tiB = 1 << 40
)

// Config holds every option of the image service. DefaultConfig gives what ironic takes when ironic.conf is silent.
type Config struct {
	Glance   GlanceConfig
	HTTP     HTTPConfig
	Checksum ChecksumConfig
	Safety   SafetyConfig
	Convert  ConvertConfig
	Cache    CacheConfig
	Server   ServerConfig
	File     FileConfig

	// OutageLimit is how long a flow waits for Glance, Keystone or a web server that is away, counted from the last byte that
	// came; 0 fails at once, as ironic does.
	OutageLimit time.Duration

	// WholeDiskRootOnly refuses swap_mb and ephemeral_gb with a whole-disk image ([ironmaster]whole_disk_root_only).
	WholeDiskRootOnly bool
}

// DefaultConfig returns the defaults of ironic's options, and Ironmaster's own where ironic has none.
func DefaultConfig() Config {
	return Config{
		Glance: GlanceConfig{ServiceConfig: keystone.ServiceConfig{
			Config:          keystone.Config{Group: "glance", AuthType: keystone.AuthPassword, Timeout: time.Minute},
			ServiceType:     "image",
			ValidInterfaces: []string{"internal", "public"},
		}},
		HTTP:     HTTPConfig{Verify: true, Timeout: time.Minute},
		Checksum: ChecksumConfig{AllowMD5: true},
		Safety: SafetyConfig{
			PermittedFormats: []Format{FormatRaw, FormatGPT, FormatQCOW2, FormatISO},
			MaxVirtualSize:   64 * tiB,
		},
		Convert: ConvertConfig{
			MemoryLimit:      2048 * MiB,
			CPULimit:         2 * time.Hour,
			TimeLimit:        4 * time.Hour,
			Attempts:         3,
			RequiredMemory:   1024 * MiB,
			MemoryWait:       15 * time.Second,
			MemoryRetries:    6,
			GrowthFactor:     2,
			QemuImg:          "qemu-img",
			Prlimit:          "prlimit",
			SyncBetweenTries: true,
		},
		Cache: CacheConfig{
			MasterDir:   "/var/lib/ironic/master_images",
			ImagesDir:   "/var/lib/ironic/images",
			Size:        20480 * MiB,
			TTL:         10080 * time.Minute,
			Concurrency: 20,
		},
		Server: ServerConfig{
			StallTimeout:  time.Minute,
			HeaderTimeout: 30 * time.Second,
			RecallTime:    30 * time.Second,
		},
		File:              FileConfig{AllowedPaths: []string{"/var/lib/ironic", "/shared/html", "/templates", "/opt/cache/files", "/vagrant"}},
		OutageLimit:       30 * time.Minute,
		WholeDiskRootOnly: true,
	}
}

// GlanceConfig is the [glance] group.
type GlanceConfig struct {
	keystone.ServiceConfig
	// Retries is [glance]num_retries: how often a failed connection is tried again, a second apart.
	Retries int
}

// HTTPConfig says how http(s):// images are read ([DEFAULT]webserver_*, [deploy]image_server_*).
type HTTPConfig struct {
	// Verify false accepts any certificate (webserver_verify_ca = False).
	Verify bool
	// CAFile is the bundle to verify with; empty means the system's.
	CAFile string
	// Timeout bounds connecting and each wait for bytes, not a whole transfer.
	Timeout time.Duration
	// VerifyTimeout bounds a question for an image's headers; 0 stands for Timeout.
	VerifyTimeout time.Duration
	Credentials   Credentials
}

// FileConfig says which local files may be images.
type FileConfig struct {
	// AllowedPaths are the absolute directories (or files) of [conductor]file_url_allowed_paths.
	AllowedPaths []string
}

// ChecksumConfig says which checksums are accepted.
type ChecksumConfig struct {
	// AllowMD5 is [agent]allow_md5_checksum.
	AllowMD5 bool
	// DisableFiles is [conductor]disable_support_for_checksum_files: no URLs in image_checksum.
	DisableFiles bool
	// DisableVerification is [conductor]disable_file_checksum: downloads are hashed but not compared.
	DisableVerification bool
}

// SafetyConfig says which bytes may become an image.
type SafetyConfig struct {
	// PermittedFormats is [conductor]permitted_image_formats.
	PermittedFormats []Format
	// MaxVirtualSize refuses disks that claim to be larger, in bytes. 0 is no limit.
	MaxVirtualSize int64
	// Disable is [conductor]disable_deep_image_inspection. The format is still detected, nothing is refused.
	Disable bool
}

// ConvertConfig bounds qemu-img.
type ConvertConfig struct {
	// MemoryLimit is the address space of qemu-img in bytes ([disk_utils]image_convert_memory_limit, MiB there).
	MemoryLimit int64
	// CPULimit is the processor time that one conversion may take.
	CPULimit time.Duration
	// TimeLimit is the wall time that one conversion may take.
	TimeLimit time.Duration
	// Attempts is [disk_utils]image_convert_attempts; only lack of memory is tried again.
	Attempts int
	// RequiredMemory must be available before a conversion starts, in bytes ([DEFAULT]minimum_required_memory, MiB).
	RequiredMemory int64
	// MemoryWait and MemoryRetries are [DEFAULT]minimum_memory_wait_time and minimum_memory_wait_retries.
	MemoryWait    time.Duration
	MemoryRetries int
	// MemoryWarningOnly is [DEFAULT]minimum_memory_warning_only.
	MemoryWarningOnly bool
	// GrowthFactor is [DEFAULT]raw_image_growth_factor: disk space estimated as file size times this.
	GrowthFactor float64
	// QemuImg and Prlimit are the programs to run.
	QemuImg, Prlimit string
	// SyncBetweenTries flushes the disk caches before another attempt, which gives memory back.
	SyncBetweenTries bool
}

// CacheConfig says where images live on this host.
type CacheConfig struct {
	// MasterDir holds one copy of each image ([pxe]instance_master_path).
	MasterDir string
	// ImagesDir holds a hard link per node ([pxe]images_path); it must be on MasterDir's file system.
	ImagesDir string
	// Size is how many bytes of unused images are kept ([pxe]image_cache_size, MiB there).
	Size int64
	// TTL is how long an unused image is kept ([pxe]image_cache_ttl, minutes there).
	TTL time.Duration
	// Concurrency is [DEFAULT]image_download_concurrency: downloads at once from each server, and conversions at once.
	Concurrency int
}

// ServerConfig says how nodes reach the images.
type ServerConfig struct {
	// Listen is the address to bind, for example 0.0.0.0:8090.
	Listen string
	// BaseURL is what nodes and BMCs put in front, for example http://192.0.2.1:8090. Empty means derive from Listen.
	BaseURL string
	// CertFile and KeyFile make the server speak TLS.
	CertFile, KeyFile string
	// StallTimeout cuts a transfer whose peer takes no byte for so long.
	StallTimeout time.Duration
	// HeaderTimeout is how long a peer may take to send its request.
	HeaderTimeout time.Duration
	// RecallTime is how long after the start a request for something unknown waits, for it may have been published before a
	// restart and be published again.
	RecallTime time.Duration
	// Plain gives out further files, under plain names and to whoever asks; nil gives out none.
	Plain Plain
}
