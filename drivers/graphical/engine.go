package graphical

import (
	"context"
	"errors"
	"strings"

	"github.com/google/shlex"
	"github.com/nikolalohinski/gonja/v2/exec"

	"github.com/ironmaster/ironmaster/store"
)

const engineProvider = "container"

// engine is the provider container: containers of an engine whose program takes docker's arguments.
type engine struct {
	cfg      ContainerConfig
	template *exec.Template
}

func openEngine(ctx context.Context, cfg ContainerConfig) (Containers, error) {
	e := &engine{cfg: cfg}
	if _, err := run(ctx, e.command("version")); err != nil {
		return nil, failed(engineProvider, "%w", err)
	}
	if cfg.Image == "" {
		return nil, failed(engineProvider, "[vnc]console_image must be set.")
	}
	var err error
	if e.template, err = openTemplate(cfg.CommandTemplate, "command"); err == nil {
		_, err = e.arguments("", "fake")
	}
	if err != nil {
		return nil, failed(engineProvider, "Parsing %s failed: %w", cfg.CommandTemplate, err)
	}
	return e, nil
}

// command runs the engine's program. docker and podman each have a name of their own for where the engine listens.
func (e *engine) command(args ...string) command {
	c := command{args: append([]string{e.cfg.Executable}, args...)}
	if host := e.cfg.EngineHost; host != "" {
		c.env = []string{"DOCKER_HOST=" + host, "CONTAINER_HOST=" + host}
	}
	return c
}

// arguments are those that start a node's container. What the app knows is not among them, for everybody on the host reads
// arguments.
func (e *engine) arguments(node, app string) ([]string, error) {
	text, err := render(e.template, map[string]any{"uuid": node, "image": e.cfg.Image, "app": app, "read_only": e.cfg.ReadOnly,
		"conductor": e.cfg.Host, "publish_port": e.cfg.CommandPort, "my_ip": e.cfg.Address})
	if err != nil {
		return nil, err
	}
	return shlex.Split(text)
}

// Start removes the node's container and starts another.
func (e *engine) Start(ctx context.Context, node, app string, info store.Dict) (string, int, error) {
	e.remove(ctx, containerPrefix+node)
	host, port, err := e.start(ctx, node, app, info)
	if err != nil {
		e.remove(context.WithoutCancel(ctx), containerPrefix+node)
		if store.KindOf(err) == "" {
			err = failed(engineProvider, "%w", err)
		}
		return "", 0, err
	}
	return host, port, nil
}

func (e *engine) start(ctx context.Context, node, app string, info store.Dict) (string, int, error) {
	args, err := e.arguments(node, app)
	if err != nil {
		return "", 0, err
	}
	known, err := infoText(info)
	if err != nil {
		return "", 0, err
	}
	c := e.command(args...)
	c.env, c.timeout = append(c.env, "APP_INFO="+known), startTimeout
	if _, err := run(ctx, c); err != nil {
		return "", 0, err
	}
	said, err := run(ctx, e.command("port", containerPrefix+node, "5900/tcp"))
	if err != nil {
		return "", 0, err
	}
	host, port, err := e.published(said)
	if err != nil {
		return "", 0, err
	}
	return host, port, awaitVNC(ctx, engineProvider, host, port, e.cfg.ReadyTimeout)
}

// published finds where the container's port is reached in what an engine prints of it, an address of IPv4 before one of IPv6.
func (e *engine) published(said string) (string, int, error) {
	host, port := "", 0
	for line := range strings.Lines(said) {
		_, after, found := strings.Cut(line, "->")
		if !found {
			after = line
		}
		at := strings.LastIndexByte(after, ':')
		if at < 0 {
			continue
		}
		number, err := parsePort(strings.TrimSpace(after[at+1:]))
		if err != nil {
			continue
		}
		address := strings.Trim(strings.TrimSpace(after[:at]), "[]")
		v4 := strings.Contains(address, ".") && !strings.Contains(address, ":")
		if port == 0 || v4 {
			host, port = address, number
		}
		if v4 {
			break
		}
	}
	if port == 0 {
		return "", 0, failed(engineProvider, "Could not detect a published VNC port in the output: %s", said)
	}
	if host == "0.0.0.0" || host == "::" {
		// Every address of this host, of which others know one.
		host = e.cfg.Address
	}
	return host, port, nil
}

// remove ends a container. Engines disagree on whether one that is not there is a failure; one that stays is found when the
// next takes its name.
func (e *engine) remove(ctx context.Context, container string) {
	_, _ = run(ctx, e.command("rm", "--force", container))
}

// Stop ends the node's container.
func (e *engine) Stop(ctx context.Context, node string) error {
	e.remove(ctx, containerPrefix+node)
	return ctx.Err()
}

// StopAll ends the containers that carry this conductor's label: an engine may be shared.
func (e *engine) StopAll(ctx context.Context) error {
	said, err := run(ctx, e.command("ps", "--all", "--quiet", "--filter", "label=org.openstack.ironic.conductor="+e.cfg.Host))
	if err != nil {
		return failed(engineProvider, "%w", err)
	}
	var problems []error
	for _, container := range strings.Fields(said) {
		e.remove(ctx, container)
		problems = append(problems, ctx.Err())
	}
	return errors.Join(problems...)
}
