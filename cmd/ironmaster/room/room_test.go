package room

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openRoom opens a room for one test and closes it at its end. Nothing waits longer than it must.
func openRoom(t *testing.T, cfg Config) *Room {
	t.Helper()
	setDefault(&cfg.Count, 1)
	setDefault(&cfg.DiskSize, 16<<20)
	setDefault(&cfg.HeartbeatSpacing, time.Millisecond)
	setDefault(&cfg.DownloadPause, time.Millisecond)
	cfg.Dir = t.TempDir()
	cfg.Log = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)
	r, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("closing the room: %v", err)
		}
	})
	return r
}

// eventually waits until ok, and fails the test when that takes too long.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestInventory(t *testing.T) {
	r := openRoom(t, Config{Count: 3, Seed: 7})
	path := filepath.Join(t.TempDir(), "inventory.json")
	if err := r.WriteInventory(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var inventory struct {
		Machines []map[string]any `json:"machines"`
	}
	if err := json.Unmarshal(text, &inventory); err != nil {
		t.Fatal(err)
	}
	if len(inventory.Machines) != 3 {
		t.Fatalf("%d machines in the inventory, want 3", len(inventory.Machines))
	}
	for _, one := range inventory.Machines {
		for _, key := range []string{"name", "address", "username", "password", "system_id", "ca_file", "macs", "disk",
			"disk_size", "cpu_arch", "memory_mb", "local_gb"} {
			if _, ok := one[key]; !ok {
				t.Errorf("the inventory says nothing of %s", key)
			}
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the inventory holds passwords and has mode %v (%v)", info.Mode(), err)
	}
}

func TestIdentityDependsOnSeedAndNumber(t *testing.T) {
	identity := func(seed uint64, number int) Info {
		c := Config{Seed: seed, Dir: "/room", DiskSize: minDiskSize, NICs: 2}
		info, _ := c.identity(number)
		return info
	}
	first := identity(1, 0)
	if again := identity(1, 0); again.SystemID != first.SystemID || again.Password != first.Password ||
		!slices.Equal(again.MACs, first.MACs) {
		t.Errorf("two rooms of one seed differ: %+v, %+v", first, again)
	}
	for _, other := range []Info{identity(1, 1), identity(2, 0)} {
		if other.SystemID == first.SystemID || other.Password == first.Password || other.MACs[0] == first.MACs[0] {
			t.Errorf("machines share an identity: %+v, %+v", first, other)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for want, cfg := range map[string]Config{
		"1 to 65536 machines":  {},
		"a folder":             {Count: 1, Dir: "-"},
		"do not fit":           {Count: 10, BasePort: 65530},
		"too small":            {Count: 1, DiskSize: 4096},
		"slow: 1.5 is not":     {Count: 1, Faults: Faults{Slow: 1.5}},
		"quirks: basic-only":   {Count: 1, Quirks: Quirks{BasicOnly: -1}},
		"machine-7: faults":    {Count: 1, FaultsOf: map[string]Faults{"machine-7": {Silent: -1}}},
		"starting machine 0: ": {Count: 1, BasePort: taken.Addr().(*net.TCPAddr).Port},
	} {
		if cfg.Dir == "" {
			cfg.Dir = t.TempDir()
		} else {
			cfg.Dir = ""
		}
		cfg.Log = zerolog.Nop()
		if _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

func TestManyMachines(t *testing.T) {
	descriptors := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := descriptors()
	r, err := Open(t.Context(), Config{Count: 300, Dir: t.TempDir(), Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if open := descriptors() - before; open > 310 {
		t.Errorf("300 idle machines hold %d descriptors", open)
	}
	var memory runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&memory)
	if memory.HeapAlloc > 64<<20 {
		t.Errorf("300 idle machines hold %d MiB", memory.HeapAlloc>>20)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if left := descriptors(); left > before {
		t.Errorf("%d descriptors are left", left-before)
	}
}

// A room can be reached from other hosts: by a name that its certificates hold.
func TestARoomHasTheNameOfItsHost(t *testing.T) {
	r := openRoom(t, Config{Host: "localhost"})
	info := r.Machines()[0].Info()
	if !strings.HasPrefix(info.Address, "https://localhost:") {
		t.Errorf("the BMC's address is %s", info.Address)
	}
	roots := x509.NewCertPool()
	text, err := os.ReadFile(info.CAFile)
	if err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatalf("reading the room's authority: %v", err)
	}
	client := newHTTPClient(&tls.Config{RootCAs: roots})
	defer client.CloseIdleConnections()
	response, err := client.Get(info.Address + "/redfish/v1")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("the BMC answers %s", response.Status)
	}
}

func TestARoomNeedsAnAddressOfItsOwn(t *testing.T) {
	for _, host := range []string{"0.0.0.0", "::1", "no such host"} {
		r, err := Open(t.Context(), Config{Count: 1, Dir: t.TempDir(), Host: host})
		if err == nil {
			r.Close()
			t.Errorf("a room opened at %s", host)
		} else if !strings.Contains(err.Error(), host) {
			t.Errorf("the error %q does not name %s", err, host)
		}
	}
}
