package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
	"github.com/ironmaster/ironmaster/drivers"
)

// program is one that plays the conductor.
type program struct {
	name string
	path string
	args []string
}

const (
	python     = "python"
	ironmaster = "ironmaster"
)

// registerTimeout is how long a conductor may take until it is registered.
const registerTimeout = 90 * time.Second

// host is a machine of its own that a conductor runs on: a name, addresses, and folders.
type host struct {
	site    *site
	name    string
	program program
	conf    string
	service *lab.Service
	// running guards service and wanted. wanted tells that the conductor should run: one that ends by itself is started again.
	running sync.Mutex
	wanted  bool
	// broker and database are the paths to the servers, when they can be taken away.
	broker, database *lab.Proxy
}

// addHost prepares a host. With paths, its conductor reaches the servers through proxies.
func (s *site) addHost(ctx context.Context, name string, p program, paths bool) (*host, error) {
	h := &host{site: s, name: name, program: p, conf: filepath.Join(s.lab.Dir, name+".conf")}
	s.hosts = append(s.hosts, h)
	own := filepath.Join(s.lab.Dir, "on-"+name)
	published := filepath.Join(own, "httpboot")
	for _, dir := range []string{published, filepath.Join(own, "images"), filepath.Join(own, "state")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("preparing host %s: %w", name, err)
		}
	}
	// Python's conductor publishes files, and leaves it to a web server to serve them.
	web, err := s.serve(published)
	if err != nil {
		return nil, err
	}
	extra := options{
		"DEFAULT": {"state_path": filepath.Join(own, "state")},
		"deploy":  {"http_url": web, "http_root": published, "iso_master_path": filepath.Join(own, "images", "iso")},
		"agent":   {"certificates_path": filepath.Join(own, "certificates"), "deploy_logs_local_path": filepath.Join(own, "logs")},
		"pxe":     {"images_path": filepath.Join(own, "images"), "instance_master_path": filepath.Join(own, "images", "master")},
	}
	if paths {
		if err := h.openPaths(ctx, extra); err != nil {
			return nil, err
		}
	}
	return h, s.lab.WriteConf(h.conf, name, extra)
}

// openPaths puts proxies before the servers into a configuration.
func (h *host) openPaths(ctx context.Context, conf options) (err error) {
	reroute := func(address string) (*lab.Proxy, string, error) {
		before, place, _ := strings.Cut(address, "@")
		server, name, _ := strings.Cut(place, "/")
		proxy, err := lab.StartProxy(ctx, server)
		if err != nil {
			return nil, "", err
		}
		return proxy, before + "@" + proxy.Address() + "/" + name, nil
	}
	if h.broker, conf["DEFAULT"]["transport_url"], err = reroute(h.site.lab.RabbitMQ.TransportURL); err != nil {
		return err
	}
	conf["database"] = map[string]string{}
	h.database, conf["database"]["connection"], err = reroute(h.site.lab.Database.ConductorURL)
	return err
}

func (h *host) closePaths() {
	for _, p := range []*lab.Proxy{h.broker, h.database} {
		if p != nil {
			p.Close()
		}
	}
}

// start runs the conductor and returns when its process began. It does not wait for more.
func (h *host) start(ctx context.Context) (time.Time, error) {
	h.running.Lock()
	defer h.running.Unlock()
	h.wanted = true
	began := time.Now()
	if h.service != nil {
		return began, h.service.Start(ctx)
	}
	command := h.site.lab.ConductorCommand(h.name, h.conf, h.program.path, slices.Clone(h.program.args)...)
	command.Ready = nil
	var err error
	h.service, err = h.site.lab.StartService(command)
	return began, err
}

// kill ends the conductor without warning and returns when it did so.
func (h *host) kill() (time.Time, error) {
	h.running.Lock()
	defer h.running.Unlock()
	h.wanted = false
	at := time.Now()
	return at, h.service.Kill()
}

// restartPause is what systemd waits before it starts a service again that has ended by itself.
const restartPause = time.Second

// supervise starts the conductor again when it ended by itself, as systemd does, until ctx ends. A conductor does so when its
// database is not there at its start.
func (h *host) supervise(ctx context.Context) {
	for drivers.Pause(ctx, restartPause) == nil {
		h.running.Lock()
		gone := h.wanted && h.service.PID() == 0
		h.running.Unlock()
		if gone {
			// One that fails to start is tried again.
			_, _ = h.start(ctx)
		}
	}
}

// awaitRegistered waits until ironic-api knows that the conductor can be asked.
func (h *host) awaitRegistered(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, registerTimeout)
	defer cancel()
	for {
		hosts, err := h.site.cloud.conductors(ctx)
		if err == nil && slices.Contains(hosts, h.name) {
			return nil
		}
		if drivers.Pause(ctx, pollPause) != nil {
			return fmt.Errorf("%s was not registered within %s; its log is %s (%v)", h.name, registerTimeout, h.service.LogFile(), err)
		}
	}
}

// locks returns what `ironmaster locks` shows of the host's worker.
func (h *host) locks(ctx context.Context) ([]json.RawMessage, error) {
	out, err := exec.CommandContext(ctx, h.program.path, "locks", "--json", "--config-file", h.conf).Output()
	if err != nil {
		return nil, fmt.Errorf("asking %s for its locks: %w", h.name, err)
	}
	var held []json.RawMessage
	if err := json.Unmarshal(out, &held); err != nil {
		return nil, fmt.Errorf("asking %s for its locks: %w", h.name, err)
	}
	return held, nil
}
