// Package room is a simulated machine room: Redfish BMCs over HTTPS and deploy agents that speak the API of
// ironic-python-agent, thousands of machines in one process.
//
// Nothing in it knows the worker. A machine is told what to do only through its BMC; its agent starts only when the
// machine was powered on with the boot override set, and a boot ISO inserted or a boot loader on the network, reads its
// parameters from what it boots, and finds ironic, the image and the way back over the network, as a real one does.
package room

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room/netboot"
)

// Config describes a room. Count and Dir are required; zero values elsewhere mean the stated defaults.
type Config struct {
	// Count is the number of machines, at most 65536.
	Count int
	// Dir holds the disk files, ca.pem and downloads in progress. It is created when missing; disks found there are
	// kept, so that a room can be reopened.
	Dir string
	// Host is where BMCs and agents listen and are reached: an IPv4 address of this host, or a name that resolves to one;
	// 127.0.0.1 by default.
	Host string
	// BasePort is the port of the first BMC, the others follow; 0 takes free ports.
	BasePort int
	// Seed decides everything that is drawn: identities, passwords, quirks and faults.
	Seed uint64
	// DiskSize is the size of each machine's disk in bytes, 10 GiB by default. Disk files are sparse.
	DiskSize int64
	// MemoryMB is the memory that each machine has or claims to have, in MiB, 4096 by default.
	MemoryMB int
	// NICs is the number of network interfaces of each machine, 2 by default.
	NICs int
	// Computer makes what stands behind the BMC of a machine, which has one virtual CD drive; nil means a simulated machine.
	Computer func(Info) (Computer, error)
	// PowerDelay is the time from a power request until the power state changes.
	PowerDelay time.Duration
	// BootDelay is the time from power on until the agent starts.
	BootDelay time.Duration
	// HeartbeatSpacing is the least time between two heartbeats of one agent, 5 s by default, as in
	// ironic-python-agent. It keeps the heartbeat that follows a quick command from meeting a node still locked.
	HeartbeatSpacing time.Duration
	// SessionTimeout is how long an idle Redfish session lives, 30 minutes by default.
	SessionTimeout time.Duration
	// DownloadAttempts is how often an agent tries to download an image before it fails, 3 by default.
	DownloadAttempts int
	// DownloadPause is the time between two attempts, 1 s by default.
	DownloadPause time.Duration
	// DownloadRate is how many bytes a second an agent takes of an image; 0 is no limit.
	DownloadRate int64
	// DHCP answers simulated machines that boot from the network. Nobody answers them when it is empty.
	DHCP netboot.Dnsmasq
	// TFTPPort is where TFTP servers are asked; 0 means 69.
	TFTPPort int
	// Roots are the authorities that agents trust for https URLs when their ISO does not say ipa-insecure; nil means
	// the system's.
	Roots *x509.CertPool
	// Faults are the ills of every machine, FaultsOf those of single machines by name, which replace Faults.
	Faults   Faults
	FaultsOf map[string]Faults
	// BMC is the vendor whose face every BMC has: hpe (iLO 5), hpe-ilo4, dell or fujitsu; empty for one of no vendor. BMCOf are those of
	// single machines by name, which replace BMC.
	BMC   string
	BMCOf map[string]string
	// Quirks are the shares of machines whose BMC is of a particular kind.
	Quirks Quirks
	Log    zerolog.Logger
}

// Info is what an operator would know about a machine: the entry of the inventory.
type Info struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	Username string `json:"username"`
	// Password is the password as an operator has it; the wrong-password fault makes the BMC expect another.
	Password string   `json:"password"`
	SystemID string   `json:"system_id"`
	CAFile   string   `json:"ca_file"`
	MACs     []string `json:"macs"`
	Disk     string   `json:"disk"`
	DiskSize int64    `json:"disk_size"`
	CPUArch  string   `json:"cpu_arch"`
	MemoryMB int      `json:"memory_mb"`
	LocalGB  int64    `json:"local_gb"`
	// Driver is the hardware type for the machine, DriverInfo what its node says of the BMC.
	Driver     string         `json:"driver"`
	DriverInfo map[string]any `json:"driver_info"`
}

// Room is an open machine room.
type Room struct {
	cfg      Config
	place    place
	machines []*Machine
	mux      *http.ServeMux
	cancel   context.CancelFunc
	running  sync.WaitGroup
	// converting bounds the number of qemu-img processes, so that many qcow2 deployments at once cost no more memory
	// than a few.
	converting chan struct{}
	// verified and insecure are shared by all agents and BMCs, to keep the number of descriptors low.
	verified, insecure *http.Client
	targets            targets
	network            *netboot.Network
}

// Open starts a room. Its listeners, goroutines and descriptors live until Close or until ctx ends and Close is called.
func Open(ctx context.Context, cfg Config) (*Room, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	at, err := findPlace(ctx, cfg.Host)
	if err != nil {
		return nil, err
	}
	for _, dir := range []string{cfg.disks(), cfg.downloads()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("preparing the room's folder: %w", err)
		}
	}
	ca, err := newAuthority("Ironmaster room")
	if err != nil {
		return nil, fmt.Errorf("making the room's certificate authority: %w", err)
	}
	if err := os.WriteFile(cfg.caFile(), ca.pem, 0o644); err != nil {
		return nil, fmt.Errorf("writing the room's certificate authority: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &Room{
		cfg:        cfg,
		place:      at,
		mux:        redfishMux(),
		cancel:     cancel,
		converting: make(chan struct{}, runtime.NumCPU()),
		verified:   newHTTPClient(&tls.Config{RootCAs: cfg.Roots}),
		insecure:   newHTTPClient(&tls.Config{InsecureSkipVerify: true}),
	}
	r.network = &netboot.Network{DHCP: cfg.DHCP, TFTPPort: cfg.TFTPPort, Client: r.verified}
	r.targets = targets{dir: cfg.iscsi(), ip: at.ip}
	for i := range cfg.Count {
		m, err := r.addMachine(ctx, ca, i)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("starting machine %d: %w", i, err), r.Close())
		}
		r.machines = append(r.machines, m)
	}
	cfg.Log.Info().Int("machines", cfg.Count).Str("dir", cfg.Dir).Msg("machine room open")
	return r, nil
}

// Machines returns the machines in the order of their numbers.
func (r *Room) Machines() []*Machine { return r.machines }

// WriteInventory writes {"machines": [Info...]} to path, readable by its owner alone because it holds passwords. The
// file appears whole or not at all.
func (r *Room) WriteInventory(path string) error {
	inventory := struct {
		Machines []Info `json:"machines"`
	}{Machines: []Info{}}
	for _, m := range r.machines {
		inventory.Machines = append(inventory.Machines, m.info)
	}
	text, err := json.MarshalIndent(inventory, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the inventory: %w", err)
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing the inventory: %w", err)
	}
	return nil
}

// Close cuts the power of every machine and waits until nothing of the room runs any more. The disks stay.
func (r *Room) Close() error {
	r.cancel()
	var failed []error
	for _, m := range r.machines {
		failed = append(failed, m.bmc.close())
	}
	r.running.Wait()
	failed = append(failed, r.targets.close())
	r.verified.CloseIdleConnections()
	r.insecure.CloseIdleConnections()
	if err := os.RemoveAll(r.cfg.downloads()); err != nil {
		failed = append(failed, fmt.Errorf("removing downloads: %w", err))
	}
	return errors.Join(failed...)
}

func (r *Room) addMachine(ctx context.Context, ca *authority, number int) (*Machine, error) {
	info, id := r.cfg.identity(number)
	faults := r.cfg.Faults
	if own, ok := r.cfg.FaultsOf[info.Name]; ok {
		faults = own
	}
	m := &Machine{
		room:    r,
		info:    info,
		uuid:    id,
		log:     r.cfg.Log.With().Str("machine", info.Name).Logger(),
		disk:    disk{path: info.Disk, size: info.DiskSize},
		faults:  newFaultPlan(faults, r.cfg.Seed, number),
		traits:  r.cfg.Quirks.draw(r.cfg.Seed, number),
		changes: make(chan powerChange, 16),
	}
	if err := m.disk.create(); err != nil {
		return nil, err
	}
	if err := m.install(); err != nil {
		return nil, err
	}
	maps.Copy(m.state.bios, r.cfg.faceOf(info.Name).settings)
	m.state.physicalCD = r.cfg.faceOf(info.Name).physicalCD
	b, err := newBMC(m, ca, number)
	if err != nil {
		return nil, err
	}
	m.bmc = b
	m.info.Address = b.address()
	m.info.Driver, m.info.DriverInfo = b.face.driver, b.face.driverInfo(m.info)
	r.running.Go(b.serve)
	r.running.Go(func() { (&supply{m: m}).run(ctx) })
	return m, nil
}

// install puts the computer behind the BMC, with the virtual drives that it has.
func (m *Machine) install() error {
	if m.room.cfg.Computer == nil {
		m.computer, m.state = simulated{m}, newState([]string{mediaCD, mediaFloppy})
		return nil
	}
	var err error
	m.state = newState([]string{mediaCD})
	m.computer, err = m.room.cfg.Computer(m.info)
	return err
}

// identity draws what makes a machine that machine. The address is known only when its BMC listens.
func (c *Config) identity(number int) (info Info, id string) {
	draw := func(what string) [sha256.Size]byte {
		return sha256.Sum256(fmt.Appendf(nil, "%s %d %d", what, c.Seed, number))
	}
	room := sha256.Sum256(fmt.Appendf(nil, "room %d", c.Seed))
	system := draw("system")
	id = uuid.NewSHA1(uuid.NameSpaceOID, system[:]).String()
	password := draw("password")
	name := fmt.Sprintf("machine-%04d", number)
	macs := make([]string, c.NICs)
	for nic := range macs {
		macs[nic] = fmt.Sprintf("52:54:%02x:%02x:%02x:%02x", room[0], number>>8, number&0xff, nic)
	}
	systemID := id
	if own := c.faceOf(name).systemID; own != "" {
		systemID = own
	}
	return Info{
		Name:     name,
		Username: "admin",
		Password: hex.EncodeToString(password[:8]),
		SystemID: systemsPath + "/" + systemID,
		CAFile:   c.caFile(),
		MACs:     macs,
		Disk:     filepath.Join(c.disks(), name+".raw"),
		DiskSize: c.DiskSize,
		CPUArch:  "x86_64",
		MemoryMB: c.MemoryMB,
		LocalGB:  c.DiskSize >> 30,
	}, id
}

func (c *Config) complete() error {
	switch {
	case c.Count < 1 || c.Count > 1<<16:
		return fmt.Errorf("a room has 1 to 65536 machines, not %d", c.Count)
	case c.Dir == "":
		return errors.New("a room needs a folder for its disks")
	case c.BasePort < 0 || c.BasePort > 0 && c.BasePort+c.Count > 1<<16:
		return fmt.Errorf("%d BMCs do not fit into the ports from %d on", c.Count, c.BasePort)
	case c.DiskSize < 0 || c.DiskSize > 0 && c.DiskSize < minDiskSize:
		return fmt.Errorf("a disk of %d bytes is too small, the least is %d", c.DiskSize, minDiskSize)
	}
	if c.NICs < 0 || c.NICs > 1<<8 {
		return fmt.Errorf("a machine has 1 to 256 network interfaces, not %d", c.NICs)
	}
	if (c.DHCP.HostsDir == "") != (c.DHCP.OptsDir == "") {
		return errors.New("DHCP needs both the folder of hosts and that of options")
	}
	if c.TFTPPort < 0 || c.TFTPPort >= 1<<16 {
		return fmt.Errorf("there is no TFTP port %d", c.TFTPPort)
	}
	if err := c.Faults.check(); err != nil {
		return err
	}
	for name, faults := range c.FaultsOf {
		if err := faults.check(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := c.Quirks.check(); err != nil {
		return err
	}
	if err := c.checkFaces(); err != nil {
		return err
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return fmt.Errorf("finding the room's folder: %w", err)
	}
	c.Dir = dir
	setDefault(&c.Host, "127.0.0.1")
	setDefault(&c.DiskSize, 10<<30)
	setDefault(&c.MemoryMB, 4096)
	setDefault(&c.NICs, 2)
	setDefault(&c.HeartbeatSpacing, 5*time.Second)
	setDefault(&c.SessionTimeout, 30*time.Minute)
	setDefault(&c.DownloadAttempts, 3)
	setDefault(&c.DownloadPause, time.Second)
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (c *Config) disks() string     { return filepath.Join(c.Dir, "disks") }
func (c *Config) iscsi() string     { return filepath.Join(c.Dir, "iscsi") }
func (c *Config) downloads() string { return filepath.Join(c.Dir, "downloads") }
func (c *Config) caFile() string    { return filepath.Join(c.Dir, "ca.pem") }

// newHTTPClient returns a client for many agents at once. It sets no overall timeout, because image downloads take as
// long as they take; callers bound the rest by their context.
func newHTTPClient(config *tls.Config) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig:       config,
		Protocols:             protocols,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   30 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		DisableCompression:    true,
	}}
}

// removeQuietly removes a temporary file whose loss or survival changes no result; the folder goes at Close anyway.
func removeQuietly(log zerolog.Logger, path string) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn().Err(err).Msg("removing a temporary file")
	}
}
