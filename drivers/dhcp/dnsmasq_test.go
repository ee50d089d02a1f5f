package dhcp

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// worker stands in for the conductor.
type worker struct {
	drivers.Worker
	ports  []*store.Port
	groups []*store.Portgroup
	saves  int
}

func (w *worker) Ports(context.Context, *drivers.Task) ([]*store.Port, error) { return w.ports, nil }
func (w *worker) Portgroups(context.Context, *drivers.Task) ([]*store.Portgroup, error) {
	return w.groups, nil
}
func (w *worker) Save(context.Context, *drivers.Task) error { w.saves++; return nil }

// network connects ports as their internal_info says.
type network struct{ *noop.Network }

func (network) CurrentVIF(internalInfo store.Dict) string {
	return internalInfo.String("provisioning_vif_port_id")
}

func newTask(ports ...*store.Port) (*drivers.Task, *worker) {
	w := &worker{ports: ports}
	return &drivers.Task{Worker: w, Log: zerolog.Nop(), Node: &store.Node{UUID: "n1"},
		Hardware: &drivers.Hardware{Network: network{noop.NewNetwork()}}}, w
}

func newDnsmasq(t *testing.T) Dnsmasq {
	t.Helper()
	dir := t.TempDir()
	return Dnsmasq{OptsDir: dir, HostsDir: dir, LeaseFile: filepath.Join(dir, "leases")}
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestDnsmasqReadsWhatANodeBoots(t *testing.T) {
	d := newDnsmasq(t)
	off := false
	task, w := newTask(&store.Port{Address: "52:54:00:00:00:01"}, &store.Port{Address: "52:54:00:00:00:02", PXEEnabled: &off})
	options := []Option{{"tag:!ipxe,67", "snponly.efi", 4}, {"66", "192.0.2.1", 4}}
	for range 2 { // The second time as after a restart: nothing changes.
		if err := d.Update(t.Context(), task, options); err != nil {
			t.Fatal(err)
		}
	}
	tag := task.Node.DriverInternalInfo.String("dnsmasq_tag")
	if tag == "" || w.saves != 1 {
		t.Fatalf("tag %q, saved %d times", tag, w.saves)
	}
	opts, host := filepath.Join(d.OptsDir, "ironic-n1.conf"), filepath.Join(d.HostsDir, "ironic-52:54:00:00:00:01.conf")
	if got, want := content(t, opts), "tag:"+tag+",tag:!ipxe,67,snponly.efi\ntag:"+tag+",66,192.0.2.1\n"; got != want {
		t.Errorf("options:\n%s\nwant\n%s", got, want)
	}
	if got, want := content(t, host), "52:54:00:00:00:01,set:"+tag+",set:ironic\n"; got != want {
		t.Errorf("host: %q, want %q", got, want)
	}

	if err := d.Clean(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, host), "52:54:00:00:00:01,ignore\n"; got != want {
		t.Errorf("host: %q, want %q", got, want)
	}
	entries, err := os.ReadDir(d.OptsDir)
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
	if _, tagged := task.Node.DriverInternalInfo["dnsmasq_tag"]; tagged {
		t.Error("the tag is still there")
	}
}

func TestDnsmasqsLeasesTellAddresses(t *testing.T) {
	d := newDnsmasq(t)
	task, _ := newTask(&store.Port{Address: "52:54:00:00:00:01"})
	if got, err := d.Addresses(t.Context(), task); err != nil || len(got) != 0 {
		t.Errorf("without a file: %q, %v", got, err)
	}
	leases := "1767225600 52:54:00:00:00:01 10.0.0.7 * 01:52:54:00:00:00:01\n1767225600 52:54:00:00:00:09 10.0.0.9 * *\n" +
		"duid 00:01\ntorn\n\n1767225600 52:54:00:00:00:01 fd00::7 * *\n"
	if err := os.WriteFile(d.LeaseFile, []byte(leases), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Addresses(t.Context(), task); err != nil || !slices.Equal(got, []string{"10.0.0.7", "fd00::7"}) {
		t.Errorf("addresses %q, %v", got, err)
	}
}

// FuzzLeases feeds what may stand in a file of leases, which dnsmasq appends to while it is read.
func FuzzLeases(f *testing.F) {
	const mac = "52:54:00:00:00:01"
	for _, seed := range []string{"", "1767225600 " + mac + " 10.0.0.7 * 01:" + mac + "\n", "duid 00:01\n1767225600 " + mac + " fd00::7 * *",
		"torn\n\n1767225600 " + mac, mac + " " + mac + " " + mac, "1767225600 " + mac + " ../../etc/passwd * *\n",
		strings.Repeat("x", bufio.MaxScanTokenSize+1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		addresses, err := leased(strings.NewReader(text), []string{mac})
		if err == nil && len(addresses) > strings.Count(text, mac) {
			t.Errorf("%d addresses of %q", len(addresses), text)
		}
		for _, address := range addresses {
			if len(strings.Fields(address)) != 1 || !strings.Contains(text, address) {
				t.Errorf("%q of %q", address, text)
			}
		}
	})
}

func TestLeasesThatCannotBeReadAreNamed(t *testing.T) {
	d := newDnsmasq(t)
	task, _ := newTask(&store.Port{Address: "52:54:00:00:00:01"})
	if err := os.WriteFile(d.LeaseFile, make([]byte, bufio.MaxScanTokenSize+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Addresses(t.Context(), task); err == nil || !strings.HasPrefix(err.Error(), "[dnsmasq]dhcp_leasefile: ") {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAFolderThatIsMissingIsNamed(t *testing.T) {
	d := newDnsmasq(t)
	d.HostsDir = filepath.Join(d.HostsDir, "gone")
	task, _ := newTask(&store.Port{Address: "52:54:00:00:00:01"})
	err := d.Update(t.Context(), task, nil)
	if err == nil || err.Error()[:len("[dnsmasq]dhcp_hostsdir: ")] != "[dnsmasq]dhcp_hostsdir: " {
		t.Errorf("got %v", err)
	}
}
