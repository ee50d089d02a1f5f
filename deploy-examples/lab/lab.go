package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Options says which services Start starts. The database and ironic-api are always among them, and so is the broker, unless
// requests go by JSON-RPC.
type Options struct {
	// Dir is an empty or missing folder for everything the services write; it stays after Close. When empty, a
	// temporary folder is used, and removed by Close. Keep it short: Unix sockets lie below it.
	Dir string
	// Release is the ironic release to run: 2025.1 or newest, out of a folder with Debian 13 or sid in it, together with
	// that Debian's RabbitMQ. When empty, the environment variable IRONMASTER_RELEASE says it; without it, ironic is
	// this machine's own.
	Release string
	// Database is sqlite (also when empty), mariadb or postgresql.
	Database string
	// Transport is oslo (also when empty) or json-rpc. With the latter there is no broker, nothing is notified, and the
	// host name of a conductor has to be the address that it listens on, such as 127.0.0.2.
	Transport string
	Glance    bool
	// Neutron enables the network interfaces flat and neutron.
	Neutron bool
	// Keystone has ironic-api log in to Keystone when it sends requests by JSON-RPC.
	Keystone bool
	// Address is where ironic-api and the conductors' image servers listen, for machines that are not on loopback;
	// 127.0.0.1 when empty.
	Address string
	// Conductor is empty for none, or "python" for the release's own ironic-conductor.
	Conductor string
	// Extra holds options (group, option, value) that replace or complete those of ironic.conf, for the API and for
	// the conductor. An empty value leaves the option to its default.
	Extra map[string]map[string]string
	// API holds further options for ironic-api alone.
	API map[string]map[string]string
	// Detached services outlive the program and the context that started them, until End or Close ends them.
	Detached bool
}

// Lab is a set of running services. A field is empty until what it describes was started.
type Lab struct {
	// Dir is the folder that everything lies in, with one log file per service.
	Dir string

	RabbitMQ *RabbitMQ
	Database *Database
	API      *Service
	Glance   *Service
	Keystone *Service
	Neutron  *Service
	// Conductor is Debian's ironic-conductor, when the options ask for it.
	Conductor *Service

	// Host is the host name in ConfFile.
	Host string
	// RPCPort is where all conductors listen, with JSON-RPC.
	RPCPort int
	// IronicURL and GlanceURL are where the services answer, without authentication and without a final slash.
	IronicURL, GlanceURL string
	// KeystoneURL and NeutronURL are where Keystone and Neutron answer, without a version.
	KeystoneURL, NeutronURL string
	// ConfFile is an ironic.conf for one conductor, whose host name is Host. APIConfFile is the one that ironic-api uses.
	ConfFile, APIConfFile string

	ctx          context.Context
	cancel       context.CancelFunc
	options      Options
	system       system
	temporary    bool
	ports        ports
	glancePort   int
	keystonePort int
	neutronPort  int

	mu       sync.Mutex
	services []*Service
}

// New returns a lab in which nothing runs yet. The services started in it end when ctx is cancelled.
func New(ctx context.Context, o Options) (*Lab, error) {
	if o.Address == "" {
		o.Address = "127.0.0.1"
	}
	l := &Lab{Dir: o.Dir, options: o}
	var err error
	if l.Dir == "" {
		l.temporary = true
		l.Dir, err = os.MkdirTemp("", "iml-")
	} else if l.Dir, err = filepath.Abs(o.Dir); err == nil {
		err = os.MkdirAll(l.Dir, 0o755)
	}
	if err == nil {
		// Servers that refuse to run as root reach their folders through this one.
		err = os.Chmod(l.Dir, 0o755)
	}
	if err != nil {
		return nil, fmt.Errorf("making the lab's folder: %w", err)
	}
	if l.system, err = findSystem(cmp.Or(o.Release, os.Getenv(ReleaseVariable)), l.Dir); err != nil {
		return nil, err
	}
	l.ctx, l.cancel = context.WithCancel(ctx)
	return l, nil
}

// Start is New and StartAll.
func Start(ctx context.Context, o Options) (*Lab, error) {
	l, err := New(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := l.StartAll(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// StartAll starts the services that the options name, all at once, and returns when all are ready.
func (l *Lab) StartAll() error {
	kind := l.options.Database
	if kind == "" {
		kind = "sqlite"
	}
	if c := l.options.Conductor; c != "" && c != "python" {
		return fmt.Errorf("no conductor of kind %q: choose python or none", c)
	} else if c == "python" {
		if err := l.system.need("conductor", pythonConductor); err != nil {
			return err
		}
	}
	var broker *RabbitMQ
	switch l.options.Transport {
	case "", "oslo":
		var err error
		if broker, err = l.prepareRabbitMQ(); err != nil {
			return err
		}
	case jsonRPC:
	default:
		return fmt.Errorf("no transport %q: choose oslo or json-rpc", l.options.Transport)
	}
	database, err := l.prepareDatabase(kind)
	if err != nil {
		return err
	}
	if l.options.Glance {
		if err := l.prepareGlance(); err != nil {
			return err
		}
	}
	if l.options.Keystone {
		if err := l.prepareKeystone(); err != nil {
			return err
		}
	}
	if l.options.Neutron {
		if err := l.prepareNeutron(); err != nil {
			return err
		}
	}
	if err := l.prepareIronic(); err != nil {
		return err
	}
	// ironic-api takes longest to start. It needs neither the broker nor the database before the first request that
	// uses them.
	var all errgroup.Group
	all.Go(l.launchIronicAPI)
	if broker != nil {
		all.Go(func() error { return broker.launch(l) })
	}
	all.Go(func() error { return database.launch(l) })
	if l.options.Glance {
		all.Go(l.launchGlance)
	}
	if l.options.Keystone {
		all.Go(l.launchKeystone)
	}
	if l.options.Neutron {
		all.Go(l.launchNeutron)
	}
	if err := all.Wait(); err != nil {
		return err
	}
	if l.options.Conductor == "python" {
		l.Conductor, err = l.StartConductor(l.Host, l.ConfFile, pythonConductor)
	}
	return err
}

// StartService runs one more program as part of the lab: its log is Name.log in the lab's folder, and it ends with the
// lab.
func (l *Lab) StartService(command Command) (*Service, error) {
	command.detached = l.options.Detached
	service, err := StartService(l.ctx, l.Dir, command)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.services = append(l.services, service)
	return service, nil
}

// ReservePorts returns numbers of TCP ports that no other lab uses and nothing listens on.
func (l *Lab) ReservePorts(count int) ([]int, error) { return l.ports.reserve(count) }

// Close ends all services at once and returns when none of their processes runs any more. It is safe to call twice.
func (l *Lab) Close() error {
	l.mu.Lock()
	services := slices.Clone(l.services)
	l.mu.Unlock()
	var all errgroup.Group
	for _, service := range services {
		all.Go(service.Kill)
	}
	err := all.Wait()
	l.cancel()
	l.ports.release()
	if l.temporary {
		err = errors.Join(err, os.RemoveAll(l.Dir))
	}
	return err
}

// folder makes a folder of the lab.
func (l *Lab) folder(name string) (string, error) {
	dir := filepath.Join(l.Dir, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the folder of %s: %w", name, err)
	}
	return dir, nil
}
