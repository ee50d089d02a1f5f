package graphical

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/nikolalohinski/gonja/v2/exec"

	"github.com/ironmaster/ironmaster/store"
)

const (
	systemdProvider = "systemd"
	containerPrefix = "ironic-console-"
	unitSuffix      = ".container"
	// unitFolder holds a folder for each user whose systemd runs containers (podman-systemd.unit(5)).
	unitFolder = "/etc/containers/systemd/users"
)

// systemd is the provider of that name: each container is a unit of this user's systemd, made by podman's Quadlet.
type systemd struct {
	cfg      ContainerConfig
	template *exec.Template
}

func openSystemd(ctx context.Context, cfg ContainerConfig) (Containers, error) {
	for _, program := range []string{"systemctl", "podman"} {
		if _, err := run(ctx, command{args: []string{program, "--version"}}); err != nil {
			return nil, failed(systemdProvider, "%w", err)
		}
	}
	template, err := openTemplate(cfg.SystemdTemplate, systemdProvider)
	if err != nil {
		return nil, failed(systemdProvider, "[vnc]systemd_container_template: %w", err)
	}
	return &systemd{cfg, template}, nil
}

// units makes sure that there is a folder for units.
func (s *systemd) units() (string, error) {
	dir := s.cfg.UnitDir
	if dir == "" {
		uid := os.Getuid()
		user := filepath.Join(unitFolder, fmt.Sprint(uid))
		if info, err := os.Stat(user); err != nil || !info.IsDir() {
			return "", failed(systemdProvider, "Directory %s must exist and be writable by user %d", user, uid)
		}
		dir = filepath.Join(user, "containers/systemd")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", failed(systemdProvider, "%w", err)
	}
	return dir, nil
}

// Start writes the node's unit and starts it.
func (s *systemd) Start(ctx context.Context, node, app string, info store.Dict) (string, int, error) {
	dir, err := s.units()
	if err != nil {
		return "", 0, err
	}
	if err := s.write(dir, node, app, info); err != nil {
		return "", 0, failed(systemdProvider, "%w", err)
	}
	host, port, err := s.start(ctx, node)
	if err != nil {
		// It may run, or be about to, and StopAll finds no unit without its file.
		return "", 0, errors.Join(err, s.Stop(context.WithoutCancel(ctx), node))
	}
	return host, port, nil
}

func (s *systemd) start(ctx context.Context, node string) (string, int, error) {
	if err := s.control(ctx, "daemon-reload"); err != nil {
		return "", 0, err
	}
	// What runs already would go on with what the unit was before.
	if err := s.control(ctx, "restart", containerPrefix+node+".service"); err != nil {
		return "", 0, err
	}
	said, err := run(ctx, command{args: []string{"podman", "port", "systemd-" + containerPrefix + node}})
	if err != nil {
		return "", 0, failed(systemdProvider, "%w", err)
	}
	host, port, err := podmanPort(said)
	if err != nil {
		return "", 0, err
	}
	return host, port, awaitVNC(ctx, systemdProvider, host, port, s.cfg.ReadyTimeout)
}

// publishedPort is what podman prints of a container's port.
var publishedPort = regexp.MustCompile(`^5900/tcp -> (.*):([0-9]+)\n?$`)

func podmanPort(said string) (string, int, error) {
	found := publishedPort.FindStringSubmatch(said)
	if found == nil {
		return "", 0, failed(systemdProvider, "Could not detect port in the output: %s", said)
	}
	port, err := parsePort(found[2])
	if err != nil {
		return "", 0, failed(systemdProvider, "Could not detect port in the output: %s", said)
	}
	return found[1], port, nil
}

// write puts the unit where only this user reads it, for the BMC's password is in it.
func (s *systemd) write(dir, node, app string, info store.Dict) error {
	known, err := infoText(info)
	if err != nil {
		return err
	}
	text, err := render(s.template, map[string]any{
		"description": "A VNC server which displays a console for node " + node,
		"image":       s.cfg.Image, "port": s.cfg.SystemdPort, "app": app, "read_only": s.cfg.ReadOnly,
		// systemd takes one level of backslashes away.
		"app_info": strings.ReplaceAll(known, `\`, `\\`),
	})
	if err != nil {
		return err
	}
	path := filepath.Join(dir, containerPrefix+node+unitSuffix)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Chmod(path, 0o600) // the file may have been there
}

func (s *systemd) control(ctx context.Context, words ...string) error {
	_, err := run(ctx, command{args: append([]string{"systemctl", "--user"}, words...), timeout: startTimeout})
	if err != nil {
		return failed(systemdProvider, "%w", err)
	}
	return nil
}

// Stop ends the node's unit and removes it.
func (s *systemd) Stop(ctx context.Context, node string) error {
	dir, err := s.units()
	if err != nil {
		return err
	}
	if err := s.end(ctx, dir, node); err != nil {
		return err
	}
	return s.control(ctx, "daemon-reload")
}

// end stops a unit, whether it runs or not: only that its file can't be removed is a failure.
func (s *systemd) end(ctx context.Context, dir, node string) error {
	if err := s.control(ctx, "stop", containerPrefix+node+".service"); err != nil && ctx.Err() != nil {
		return err
	}
	return s.remove(dir, node)
}

func (s *systemd) remove(dir, node string) error {
	err := os.Remove(filepath.Join(dir, containerPrefix+node+unitSuffix))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed(systemdProvider, "%w", err)
	}
	return nil
}

// StopAll ends every unit that the folder has.
func (s *systemd) StopAll(ctx context.Context) error {
	dir, err := s.units()
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(dir, containerPrefix+"*"+unitSuffix))
	if err != nil || len(files) == 0 {
		return err
	}
	var problems []error
	for _, file := range files {
		node := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), containerPrefix), unitSuffix)
		problems = append(problems, s.end(ctx, dir, node))
	}
	return errors.Join(append(problems, s.control(ctx, "daemon-reload"))...)
}
