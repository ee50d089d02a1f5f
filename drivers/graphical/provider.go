package graphical

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// ContainerConfig is what of [vnc] says how containers are run.
type ContainerConfig struct {
	// Provider is fake, systemd, kubernetes or container.
	Provider string
	// Image is the containers' image. ReadOnly keeps keyboard and mouse from the machines.
	Image    string
	ReadOnly bool
	// Host is this conductor's name, which marks its containers. Address is where it is reached.
	Host, Address string
	// ReadyTimeout is how long a VNC server may take until it speaks.
	ReadyTimeout time.Duration

	// SystemdTemplate, KubernetesTemplate and CommandTemplate are Jinja2 files; "" stands for the one that is built in.
	SystemdTemplate, KubernetesTemplate, CommandTemplate string
	// SystemdPort and CommandPort say where podman and the engine publish port 5900.
	SystemdPort, CommandPort string
	// UnitDir is the folder of this user's container units; "" stands for the one below /etc/containers.
	UnitDir string
	// PodTimeout is how long a pod may take to be ready.
	PodTimeout time.Duration
	// Executable is the engine's program, EngineHost where the engine listens; "" leaves that to the program.
	Executable, EngineHost string
}

// OpenContainers returns the provider that a configuration names. Its errors are ConsoleContainerError.
func OpenContainers(ctx context.Context, cfg ContainerConfig) (Containers, error) {
	switch cfg.Provider {
	case "fake":
		return none{}, nil
	case "systemd":
		return openSystemd(ctx, cfg)
	case "kubernetes":
		return openKubernetes(ctx, cfg)
	case "container":
		return openEngine(ctx, cfg)
	}
	return nil, failed(cfg.Provider, "No 'ironic.console.container' driver found, looking for '%s'", cfg.Provider)
}

// failed is what ironic's users are told of containers.
func failed(provider, format string, args ...any) error {
	return store.Errorf(store.ConsoleContainerError, "Console container error with provider '%s', reason: "+format,
		append([]any{provider}, args...)...)
}

// none is the provider fake: an address that leads nowhere, of the network for examples.
type none struct{}

func (none) Start(context.Context, string, string, store.Dict) (string, int, error) {
	return "192.0.2.1", vncPort, nil
}
func (none) Stop(context.Context, string) error { return nil }
func (none) StopAll(context.Context) error      { return nil }

const vncPort = 5900

// greeting is how long what a VNC server says first is: "RFB 003.008\n" (RFC 6143, 7.1.1).
const greeting = 12

// awaitVNC waits until a VNC server speaks. A published port accepts connections before the server behind it does.
func awaitVNC(ctx context.Context, provider, host string, port int, limit time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if greets(limited, host, port) {
			return nil
		}
		if drivers.Pause(limited, vncPoll) != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return failed(provider, "RFB data not returned by %s:%d", host, port)
		}
	}
}

const vncPoll = 500 * time.Millisecond

func greets(ctx context.Context, host string, port int) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var dialer net.Dialer
	server, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return false
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { _ = server.SetDeadline(time.Unix(1, 0)) })()
	_, err = io.ReadFull(server, make([]byte, greeting))
	return err == nil
}

// parsePort reads a port that a program printed.
func parsePort(text string) (int, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%q is no port", text)
	}
	return int(port), nil
}
