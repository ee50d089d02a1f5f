package wholeworker

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

const hostname = "whole-worker"

type options = map[string]map[string]string

// world is a lab with one conductor, and what its machines boot and get.
type world struct {
	lab       *lab.Lab
	api       *api
	conductor *lab.Service
	// host is the conductor's host name.
	host string
	// conf is the conductor's ironic.conf, admin the URL of its operators' address.
	conf, admin string
	// wares is a folder that file:// images may come from.
	wares   string
	ramdisk lab.Ramdisk
	events  *events

	mu    sync.Mutex
	rooms []*room.Room
}

// quick are options that make a worker wait less than one whose machines take minutes to start.
func quick(dir string) options {
	return options{
		"DEFAULT": {"hash_ring_reset_interval": "1"},
		"agent": {"command_wait_interval": "1", "post_deploy_get_power_state_retry_interval": "1",
			"certificates_path": filepath.Join(dir, "certificates"), "deploy_logs_local_path": filepath.Join(dir, "logs")},
		"redfish":   {"connection_attempts": "2", "connection_retry_interval": "1", "connect_timeout": "3", "read_timeout": "3"},
		"conductor": {"file_url_allowed_paths": dir, "check_provision_state_interval": "2"},
		// An agent's heartbeat that met a locked node is repeated after 0.3 to 0.6 of this.
		"api": {"ramdisk_heartbeat_timeout": "6"},
	}
}

type setup struct {
	database string
	// transport is oslo (also when empty) or json-rpc, which runs without a broker.
	transport string
	glance    bool
	neutron   bool
	// keystone has ironic-api show a token to the conductor.
	keystone bool
	// extra goes to ironic-api and the conductor, own to the conductor alone.
	extra options
	own   func(*world) options
	// bare leaves the conductor out.
	bare bool
}

// start starts a lab and the conductor.
func start(t *testing.T, s setup) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "imw-")
	must(t, err)
	// Database servers refuse to run as root and must be let in.
	must(t, os.Chmod(dir, 0o755))
	// Registered before the lab's own cleanup, so that it runs after it.
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{wares: filepath.Join(dir, "wares"), host: hostname}
	w.lab = lab.ForTest(t, lab.Options{Dir: filepath.Join(dir, "lab"), Database: s.database, Transport: s.transport,
		Glance: s.glance, Neutron: s.neutron, Keystone: s.keystone, Extra: lab.Merge(quick(dir), s.extra)})
	w.api = newAPI(w.lab.IronicURL)
	t.Cleanup(w.api.client.CloseIdleConnections)
	w.ramdisk, err = lab.MakeRamdisk(t.Context(), w.wares)
	must(t, err)
	if w.lab.RabbitMQ != nil {
		w.events = follow(t, w.lab.RabbitMQ.TransportURL)
	} else {
		w.host = w.lab.Host
	}
	if s.bare {
		return w
	}
	var own options
	if s.own != nil {
		own = s.own(w)
	}
	w.startConductor(t, own)
	t.Cleanup(func() {
		log, err := os.ReadFile(w.conductor.LogFile())
		if err != nil {
			t.Error(err)
		}
		w.checkLog(t, string(log))
	})
	if w.events == nil {
		w.events = w.followWorker(t)
	}
	return w
}

// checkLog looks in what a conductor logged for what must never be there: a panic, a data race, or a secret.
func (w *world) checkLog(t *testing.T, text string) {
	for _, bad := range []string{"panic", "DATA RACE", "ipa-agent-token=", "guessed-wrong"} {
		if at := strings.Index(text, bad); at >= 0 {
			t.Errorf("the conductor's log has %q: %s", bad, text[max(0, at-200):min(len(text), at+4000)])
		}
	}
	for _, r := range w.rooms {
		for _, m := range r.Machines() {
			if strings.Contains(text, m.Info().Password) {
				t.Errorf("the conductor's log tells the password of %s", m.Info().Name)
			}
		}
	}
}

func (w *world) startConductor(t *testing.T, own options) {
	t.Helper()
	ports, err := w.lab.ReservePorts(1)
	must(t, err)
	admin := net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
	w.admin = "http://" + admin
	w.conf = filepath.Join(w.lab.Dir, "conductor.conf")
	must(t, w.lab.WriteConf(w.conf, w.host, lab.Merge(options{"ironmaster": {"admin_listen": admin}}, own)))
	w.conductor, err = w.lab.StartConductor(w.host, w.conf, program, "conductor")
	must(t, err)
}

// openRoom opens a room of machines that start at once. Rooms of one world have different seeds between 1 and 24, which
// make different MAC addresses; one with the same seed is the same room again, with its disks.
func (w *world) openRoom(t *testing.T, cfg room.Config) *room.Room {
	t.Helper()
	cfg.Dir = filepath.Join(w.lab.Dir, fmt.Sprintf("room-%d", cfg.Seed))
	cfg.DiskSize = cmp.Or(cfg.DiskSize, 64*mebibyte)
	cfg.HeartbeatSpacing = cmp.Or(cfg.HeartbeatSpacing, 300*time.Millisecond)
	cfg.PowerDelay = 20 * time.Millisecond
	cfg.DownloadPause = 100 * time.Millisecond
	log, err := os.OpenFile(cfg.Dir+".log", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	must(t, err)
	t.Cleanup(func() { log.Close() })
	cfg.Log = zerolog.New(log).With().Timestamp().Logger()
	r, err := room.Open(context.Background(), cfg)
	must(t, err)
	w.mu.Lock()
	w.rooms = append(w.rooms, r)
	w.mu.Unlock()
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("closing the room: %v", err)
		}
	})
	return r
}

// get reads from the conductor's operators' address.
func (w *world) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.admin+path, nil)
	if err != nil {
		return nil, err
	}
	// A connection that stays open would be a descriptor of the worker's that the tests count.
	request.Close = true
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s", path, response.Status)
	}
	return io.ReadAll(response.Body)
}

// locks returns what the worker says that it holds.
func (w *world) locks(ctx context.Context) ([]json.RawMessage, error) {
	text, err := w.get(ctx, "/locks")
	if err != nil {
		return nil, err
	}
	var held []json.RawMessage
	return held, json.Unmarshal(text, &held)
}

// checkNothingHeld fails the test unless no lock is left, in the worker or in the shared database.
func (w *world) checkNothingHeld(t *testing.T) {
	t.Helper()
	eventually(t, "no lock is held", func() error {
		held, err := w.locks(t.Context())
		if err != nil {
			return err
		}
		if len(held) > 0 {
			return fmt.Errorf("%d locks, the first is %s", len(held), held[0])
		}
		nodes, err := w.api.all(t.Context())
		if err != nil {
			return err
		}
		for _, n := range nodes {
			if n.Reservation != "" {
				return fmt.Errorf("node %s (%s) is reserved by %s", n.Name, n.ProvisionState, n.Reservation)
			}
		}
		return nil
	})
}

// eventually polls until check returns nil, for settleTime.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	within(t, settleTime, what, check)
}

// within is eventually for what takes longer.
func within(t *testing.T, limit time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("waiting until %s: %v", what, err)
		}
		time.Sleep(pollPause)
	}
}

// sessions asks a BMC who is logged in, as its operator would.
func sessions(ctx context.Context, m room.Info) ([]string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Address+"/redfish/v1/SessionService/Sessions", nil)
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(m.Username, m.Password)
	client, err := trusting(m.CAFile)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var found struct {
		Members []map[string]string `json:"Members"`
	}
	if err := json.NewDecoder(response.Body).Decode(&found); err != nil {
		return nil, err
	}
	var names []string
	for _, member := range found.Members {
		names = append(names, slices.Collect(maps.Values(member))...)
	}
	return names, nil
}

// upload stores an image in Glance and returns its id.
func (w *world) upload(t *testing.T, file, format string) string {
	t.Helper()
	return w.uploadWith(t, file, format, nil)
}

// uploadWith stores an image that has custom properties.
func (w *world) uploadWith(t *testing.T, file, format string, properties map[string]any) string {
	t.Helper()
	glance := newAPI(w.lab.GlanceURL)
	defer glance.client.CloseIdleConnections()
	var created struct {
		ID string `json:"id"`
	}
	fields := map[string]any{"name": filepath.Base(file), "disk_format": format, "container_format": "bare"}
	if format == "aki" || format == "ari" {
		fields["container_format"] = format
	}
	maps.Copy(fields, properties)
	must(t, glance.once(t.Context(), http.MethodPost, "/v2/images", fields, &created))
	content, err := os.ReadFile(file)
	must(t, err)
	address, err := url.JoinPath(w.lab.GlanceURL, "v2/images", created.ID, "file")
	must(t, err)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, address, bytes.NewReader(content))
	must(t, err)
	request.Header.Set("Content-Type", "application/octet-stream")
	response, err := glance.client.Do(request)
	must(t, err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Fatalf("uploading an image: %s", response.Status)
	}
	return created.ID
}
