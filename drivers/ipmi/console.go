package ipmi

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Console is a console interface: a program for each node, which runs ipmitool's Serial over LAN for whoever connects. It goes on
// when this worker stops, and is begun anew when it starts.
type Console struct {
	base
	cfg      ConsoleConfig
	terminal terminal
	ports    *portPool
}

// NewConsole returns the console interface ipmitool-socat.
func NewConsole(c *Client) *Console {
	return NewConsoleOf(c, nil)
}

// NewWebConsole returns the console interface ipmitool-shellinabox, which ironic has up to 34.0.
func NewWebConsole(c *Client) *Console {
	return &Console{base: base{client: c}, cfg: c.cfg.Console, terminal: shellInABox{c.cfg.Console}, ports: c.ports}
}

// NewConsoleOf returns the same for nodes that name their BMC in words of their own: driverInfo puts these into those of the
// hardware type ipmi.
func NewConsoleOf(c *Client, driverInfo func(*store.Node) store.Dict) *Console {
	return &Console{base: base{client: c, words: driverInfo}, cfg: c.cfg.Console, terminal: socat{c.cfg.Console}, ports: c.ports}
}

// Properties are those of every IPMI interface and the port.
func (c *Console) Properties() map[string]string {
	all := c.base.Properties()
	all[keyTerminalPort] = terminalPort
	return all
}

// Validate checks driver_info, and that there is a port to be had.
func (c *Console) Validate(_ context.Context, t *drivers.Task) error {
	to, err := c.target(t)
	switch {
	case err != nil:
		return err
	case to.terminalPort == 0 && len(c.cfg.Ports) == 0:
		return store.Errorf(store.MissingParameterValue, "Either missing 'ipmi_terminal_port' parameter in node's driver_info or "+
			"[console]port_range is not configured")
	case to.version != "2.0":
		return store.Errorf(store.InvalidParameterValue, "Serial over lan only works with IPMI protocol version 2.0. Check the "+
			"'ipmi_protocol_version' parameter in node's driver_info")
	case strings.ContainsAny(to.username+to.address, " \t\n\r"):
		return store.Errorf(store.InvalidParameterValue, "Serial over lan is not possible with white space in ipmi_username or ipmi_address")
	}
	return nil
}

// deactivate ends another session on the node's serial port. That there is none is no failure.
var deactivate = command{words: "sol deactivate", once: true}

// StartConsole ends what is left of an earlier console, and starts one.
func (c *Console) StartConsole(ctx context.Context, t *drivers.Task) error {
	if err := c.Validate(ctx, t); err != nil {
		return err
	}
	if err := c.stop(ctx, t); err != nil {
		return err
	}
	to, err := c.port(ctx, t)
	if err != nil {
		return err
	}
	if _, err := c.client.run(ctx, t, to, deactivate); err != nil && ctx.Err() != nil {
		return err
	}
	env, args, err := c.access(to)
	if err != nil {
		return err
	}
	if err := c.start(ctx, t, to, args, env); err != nil {
		_ = os.Remove(c.passwordFile(to.node))
		return err
	}
	t.Log.Info().Int("port", to.terminalPort).Msg("A console was started")
	return nil
}

// StopConsole ends the console, and the session on the BMC where ironic does.
func (c *Console) StopConsole(ctx context.Context, t *drivers.Task) error {
	var to target
	if c.terminal.deactivates() {
		var err error
		if to, err = c.target(t); err != nil {
			return err
		}
	}
	if err := c.stop(ctx, t); err != nil {
		return err
	}
	if c.terminal.deactivates() {
		if _, err := c.client.run(ctx, t, to, deactivate); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return c.giveBack(ctx, t)
}

// ConsoleAccess is where the node's port is reached.
func (c *Console) ConsoleAccess(ctx context.Context, t *drivers.Task) (drivers.ConsoleAccess, error) {
	to, err := c.target(t)
	if err != nil {
		return drivers.ConsoleAccess{}, err
	}
	if c.client.cfg.ConsoleTakesOver {
		if _, err := c.client.run(ctx, t, to, deactivate); err != nil && ctx.Err() != nil {
			return drivers.ConsoleAccess{}, err
		}
	}
	return c.terminal.access(to.terminalPort), nil
}

// access are the arguments of the ipmitool that the terminal runs, and its environment. The password is in a file that stands for as
// long as the console, unless the operator wants it in the environment.
func (c *Console) access(to target) (env, args []string, err error) {
	tool := ipmitool{c.client.cfg}
	args, env = tool.arguments(to)
	args = append([]string{"ipmitool"}, args...)
	if c.client.cfg.PasswordInEnv {
		return append(env, "IPMI_PASSWORD="+to.password), append(args, "-E", "sol", "activate"), nil
	}
	path := c.passwordFile(to.node)
	if err := writePassword(path, passwordText(to.password)); err != nil {
		return nil, nil, store.Errorf(store.PasswordFileFailedToCreate, "Failed to create the password file. %w", err)
	}
	return env, append(args, "-f", path, "sol", "activate"), nil
}

func (c *Console) passwordFile(node string) string { return filepath.Join(c.cfg.TempDir, node+".pw") }

// writePassword puts a password where only this user reads it. The folder may be everybody's: what stands there is not followed.
func writePassword(path, password string) error {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(password); err == nil {
		return f.Close()
	}
	f.Close()
	_ = os.Remove(path)
	return err
}

// port gives the node a port, unless it has one of its own: the one that it had, when that is free.
func (c *Console) port(ctx context.Context, t *drivers.Task) (target, error) {
	to, err := c.target(t)
	if err != nil || c.driverInfo(t.Node).String(keyTerminalPort) != "" {
		return to, err
	}
	port, err := c.ports.allocate(to.terminalPort, c.terminal.address())
	if err != nil {
		return target{}, err
	}
	if port == to.terminalPort {
		return to, nil
	}
	if t.Node.DriverInternalInfo == nil {
		t.Node.DriverInternalInfo = store.Dict{}
	}
	t.Node.DriverInternalInfo[keyAllocatedPort] = port
	to.terminalPort = port
	return to, t.Worker.Save(ctx, t)
}

// giveBack takes the port that a node was given away from it.
func (c *Console) giveBack(ctx context.Context, t *drivers.Task) error {
	port, had, err := t.Node.DriverInternalInfo.Int(keyAllocatedPort)
	if !had {
		return nil
	}
	delete(t.Node.DriverInternalInfo, keyAllocatedPort)
	if saveErr := t.Worker.Save(ctx, t); saveErr != nil {
		return saveErr
	}
	if err != nil {
		return fmt.Errorf("driver_internal_info: %w", err)
	}
	c.ports.free(int(port))
	return nil
}

var _ drivers.Console = (*Console)(nil)
