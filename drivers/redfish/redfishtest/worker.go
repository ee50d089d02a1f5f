package redfishtest

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Worker does for a driver what a conductor would.
type Worker struct {
	drivers.Worker
	// Power are the changes of power that were asked for.
	Power   []string
	journal map[string][]byte
}

// NewWorker returns a worker that remembers nothing yet.
func NewWorker() *Worker { return &Worker{journal: map[string][]byte{}} }

// Save does nothing: the node is in memory.
func (*Worker) Save(context.Context, *drivers.Task) error { return nil }

// SetPower notes the change.
func (w *Worker) SetPower(_ context.Context, _ *drivers.Task, target string) error {
	w.Power = append(w.Power, target)
	return nil
}

// Report does nothing.
func (*Worker) Report(*drivers.Task, drivers.Progress) {}

// Journal is the worker itself.
func (w *Worker) Journal(*drivers.Task) drivers.Journal { return w }

// Put remembers a value.
func (w *Worker) Put(_ context.Context, key string, value any) (err error) {
	w.journal[key], err = json.Marshal(value)
	return err
}

// Get reads a value back.
func (w *Worker) Get(_ context.Context, key string, into any) (bool, error) {
	text, found := w.journal[key]
	if !found {
		return false, nil
	}
	return true, json.Unmarshal(text, into)
}

// Client returns a client that does not wait for long, and is closed with the test.
func Client(t *testing.T) *redfish.Client {
	t.Helper()
	return ClientWith(t, redfish.DefaultConfig())
}

// ClientWith is Client with a configuration whose pauses it shortens.
func ClientWith(t *testing.T, cfg redfish.Config) *redfish.Client {
	t.Helper()
	cfg.ConnectionAttempts, cfg.RetryInterval = 2, time.Millisecond
	cfg.PowerPoll, cfg.InsertInterval, cfg.TaskPoll = time.Millisecond, time.Millisecond, time.Millisecond
	c := redfish.New(cfg, zerolog.Nop())
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Publisher gives out URLs below it that nobody serves.
type Publisher string

// PublishISO returns the URL of every node's ISO.
func (p Publisher) PublishISO(context.Context, *drivers.Task, redfish.Content, string) (redfish.Published, error) {
	return redfish.Published{URL: string(p) + "/secret/boot.iso", Secret: "secret"}, nil
}

// WithdrawISO does nothing.
func (Publisher) WithdrawISO(context.Context, *store.Node) error { return nil }

// PublishDrive returns the URL of every node's config drive.
func (p Publisher) PublishDrive(context.Context, *drivers.Task, []byte, string) (redfish.Published, error) {
	return redfish.Published{URL: string(p) + ".img", Secret: "drive"}, nil
}

// WithdrawDrive does nothing.
func (Publisher) WithdrawDrive(context.Context, *store.Node) error { return nil }

// ISOs returns a builder whose kernels and ramdisks hold their own names.
func ISOs(t *testing.T) *bootiso.Builder {
	t.Helper()
	loader := filepath.Join(t.TempDir(), "isolinux.bin")
	if err := os.WriteFile(loader, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := bootiso.Open(bootiso.Config{Dir: t.TempDir(), Keep: 1, IsolinuxBin: loader, LdlinuxC32: loader}, named{}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// named is bootiso.Files: every href's content is its name.
type named struct{}

func (named) Revision(context.Context, string) (string, error) { return "1", nil }

func (named) Fetch(_ context.Context, href string, w *os.File) error {
	_, err := io.WriteString(w, strings.Repeat(href+" ", 300))
	return err
}
