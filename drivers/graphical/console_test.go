package graphical_test

import (
	"context"
	"errors"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/graphical"
	"github.com/ironmaster/ironmaster/store"
)

const node = "0d4a1f6e-0000-4000-8000-000000000001"

// worker keeps what was saved last.
type worker struct {
	drivers.Worker
	enabled bool
	info    store.Dict
}

func (w *worker) Save(_ context.Context, t *drivers.Task) error {
	w.enabled, w.info = t.Node.ConsoleEnabled, t.Node.DriverInternalInfo.Clone()
	return nil
}

// containers is a provider that tells what it was asked.
type containers struct {
	asked   []string
	failure error
}

func (c *containers) Start(_ context.Context, node, app string, _ store.Dict) (string, int, error) {
	c.asked = append(c.asked, "start "+app+" "+node)
	return "198.51.100.7", 40001, c.failure
}

func (c *containers) Stop(_ context.Context, node string) error {
	c.asked = append(c.asked, "stop "+node)
	return c.failure
}

func (c *containers) StopAll(context.Context) error { return nil }

func newTask(w *worker) *drivers.Task {
	return &drivers.Task{Worker: w, Log: zerolog.Nop(), Node: &store.Node{UUID: node}}
}

// What ironic-novncproxy reads of a console stands in the row, and goes with it.
func TestConsole(t *testing.T) {
	now := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	w, c := &worker{}, &containers{}
	console := graphical.NewConsole(graphical.Config{PublicURL: "http://proxy.example:6090/vnc_auto.html", TokenTimeout: time.Minute,
		Now: func() time.Time { return now }}, c, graphical.Test{})
	task := newTask(w)
	if err := console.StartConsole(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	token := w.info.String("novnc_secret_token")
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(token) {
		t.Errorf("the token is %q", token)
	}
	if w.info["vnc_host"] != "198.51.100.7" || w.info["vnc_port"] != 40001 || !w.enabled ||
		w.info["novnc_secret_token_created"] != "2026-05-04T03:02:01.000000" {
		t.Errorf("the row has %v, enabled %v", w.info, w.enabled)
	}
	access, err := console.ConsoleAccess(t.Context(), task)
	if err != nil || access.Type != "vnc" {
		t.Fatalf("%+v, %v", access, err)
	}
	page, err := url.Parse(access.URL)
	if err != nil || page.Host != "proxy.example:6090" || page.Query().Get("path") != "websockify?node="+node+"&token="+token {
		t.Errorf("the console is at %s (%v)", access.URL, err)
	}
	if err := console.StartConsole(t.Context(), task); err != nil || w.info.String("novnc_secret_token") == token {
		t.Errorf("a console that is started again keeps its token (%v)", err)
	}
	if err := console.StopConsole(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if len(w.info) > 0 || w.enabled {
		t.Errorf("after the end the row has %v, enabled %v", w.info, w.enabled)
	}
	c.failure = errors.New("no engine")
	if err := console.StartConsole(t.Context(), task); !errors.Is(err, c.failure) || len(w.info) > 0 || w.enabled {
		t.Errorf("a console whose container fails: %v, row %v", err, w.info)
	}
}

func TestConsolesExpire(t *testing.T) {
	console := graphical.NewConsole(graphical.Config{TokenTimeout: time.Minute,
		Now: func() time.Time { return time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC) }}, &containers{}, graphical.Test{})
	for _, c := range []struct {
		name           string
		token, created any
		expired        bool
	}{
		{"none", nil, nil, false},
		{"none, with an age", nil, "2001-01-01T00:00:00.000000", false},
		{"young", "t", "2026-05-04T03:01:01.000000", false},
		{"old", "t", "2026-05-04T03:01:00.999999", true},
		{"of no age", "t", nil, true},
		{"of an age that is none", "t", "yesterday", true},
	} {
		info := store.Dict{}
		for key, value := range map[string]any{"novnc_secret_token": c.token, "novnc_secret_token_created": c.created} {
			if value != nil {
				info[key] = value
			}
		}
		if got := console.Expired(&store.Node{DriverInternalInfo: info}); got != c.expired {
			t.Errorf("a token that is %s: expired %v, want %v", c.name, got, c.expired)
		}
	}
}

// Without a page to be shown on, the address is ironic's.
func TestAConsoleWithoutAPage(t *testing.T) {
	console := graphical.NewConsole(graphical.Config{}, &containers{}, graphical.Test{})
	access, err := console.ConsoleAccess(t.Context(), newTask(&worker{}))
	if want := "None?path=websockify%3Fnode%3D" + node + "%26token%3DNone"; err != nil || access.URL != want {
		t.Errorf("the console is at %s (%v), want %s", access.URL, err, want)
	}
}
