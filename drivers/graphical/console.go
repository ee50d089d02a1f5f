// Package graphical gives users a picture of a machine's screen: a container for each node runs a browser at the BMC's console and
// shows it by VNC to ironic-novncproxy, which reads of it in the node's row (ironic/common/vnc.py, ironic/console/container).
package graphical

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Config is [vnc], as far as consoles are concerned.
type Config struct {
	// PublicURL is the page that users open; "" when nobody has said.
	PublicURL string
	// TokenTimeout is how long a console is open.
	TokenTimeout time.Duration
	// Now is the clock; nil stands for the system's.
	Now func() time.Time
}

// App is what a console container runs.
type App interface {
	// Name is what the container's image knows the app by.
	Name() string
	Properties() map[string]string
	Validate(ctx context.Context, t *drivers.Task) error
	// Info is what the app needs to reach the console of a node. It may hold a password.
	Info(n *store.Node) (store.Dict, error)
}

// Containers runs console containers, one for a node.
type Containers interface {
	// Start runs an app for a node in place of what runs for it, and returns where its VNC server listens.
	Start(ctx context.Context, node, app string, info store.Dict) (host string, port int, err error)
	// Stop ends what runs for a node. That nothing runs is no failure.
	Stop(ctx context.Context, node string) error
	// StopAll ends all containers of this conductor.
	StopAll(ctx context.Context) error
}

// Console is a console interface that shows an app.
type Console struct {
	App
	cfg        Config
	containers Containers
}

// NewConsole returns the console interface of an app.
func NewConsole(cfg Config, containers Containers, app App) *Console {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Console{app, cfg, containers}
}

// Steps offers none.
func (*Console) Steps(drivers.StepKind) []drivers.Step { return nil }

// StartConsole starts the node's container and gives its users a new token. A worker that dies in between leaves a container
// that no row tells of, which the next start of any console of the node, or of the worker, ends.
func (c *Console) StartConsole(ctx context.Context, t *drivers.Task) error {
	info, err := c.Info(t.Node)
	if err != nil {
		return err
	}
	host, port, err := c.containers.Start(ctx, t.Node.UUID, c.Name(), info)
	if err != nil {
		return err
	}
	if err := c.authorize(t.Node, host, port); err != nil {
		return err
	}
	t.Node.ConsoleEnabled = true
	t.Log.Info().Str("host", host).Int("port", port).Msg("A graphical console was started")
	return t.Worker.Save(ctx, t)
}

// StopConsole ends the container, and lets nobody in any more. As in ironic the console is not enabled afterwards, whoever
// stopped it.
func (c *Console) StopConsole(ctx context.Context, t *drivers.Task) error {
	if err := c.containers.Stop(ctx, t.Node.UUID); err != nil {
		return err
	}
	forget(t.Node)
	t.Node.ConsoleEnabled = false
	return t.Worker.Save(ctx, t)
}

// ConsoleAccess is the page at which a browser shows the console. It has the token in it. Without [vnc]public_url it leads
// nowhere, and reads as ironic's does.
func (c *Console) ConsoleAccess(_ context.Context, t *drivers.Task) (drivers.ConsoleAccess, error) {
	page, token := c.cfg.PublicURL, t.Node.DriverInternalInfo.String(keyToken)
	if page == "" {
		page = "None"
	}
	if token == "" {
		token = "None"
	}
	path := url.QueryEscape(fmt.Sprintf("websockify?node=%s&token=%s", t.Node.UUID, token))
	return drivers.ConsoleAccess{Type: "vnc", URL: page + "?path=" + path}, nil
}

// Test is the app fake-graphical: a picture without a machine behind it.
type Test struct{}

// Name is what the container's image knows it by.
func (Test) Name() string { return "fake" }

// Properties are none.
func (Test) Properties() map[string]string { return map[string]string{} }

// Validate accepts every node.
func (Test) Validate(context.Context, *drivers.Task) error { return nil }

// Info is empty.
func (Test) Info(*store.Node) (store.Dict, error) { return store.Dict{}, nil }

var _ drivers.ExpiringConsole = (*Console)(nil)
