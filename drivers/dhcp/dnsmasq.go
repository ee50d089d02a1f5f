package dhcp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// keyTag holds, in driver_internal_info, the dnsmasq tag that ties a node's addresses to its options.
const keyTag = "dnsmasq_tag"

// Dnsmasq writes files that a dnsmasq reads by itself when they change: dhcp-hostsdir and dhcp-optsdir. Files are replaced by
// renaming, so that dnsmasq never reads half of one.
type Dnsmasq struct {
	// OptsDir, HostsDir and LeaseFile are [dnsmasq]dhcp_optsdir, dhcp_hostsdir and dhcp_leasefile.
	OptsDir, HostsDir, LeaseFile string
}

// Update writes the node's options under a tag of its own, and gives that tag to its MAC addresses.
func (d Dnsmasq) Update(ctx context.Context, t *drivers.Task, options []Option) error {
	macs, err := bootAddresses(ctx, t)
	if err != nil {
		return err
	}
	tag := t.Node.DriverInternalInfo.String(keyTag)
	if tag == "" {
		tag = uuid.NewString()
		if t.Node.DriverInternalInfo == nil {
			t.Node.DriverInternalInfo = store.Dict{}
		}
		t.Node.DriverInternalInfo[keyTag] = tag
		if err := t.Worker.Save(ctx, t); err != nil {
			return err
		}
	}
	var text strings.Builder
	for _, o := range options {
		fmt.Fprintf(&text, "tag:%s,%s,%s\n", tag, o.Name, o.Value)
	}
	if err := replaceFile(d.optionFile(t.Node), text.String()); err != nil {
		return fmt.Errorf("[dnsmasq]dhcp_optsdir: %w", err)
	}
	for _, mac := range macs {
		if err := replaceFile(d.hostFile(mac), fmt.Sprintf("%s,set:%s,set:ironic\n", mac, tag)); err != nil {
			return fmt.Errorf("[dnsmasq]dhcp_hostsdir: %w", err)
		}
	}
	return nil
}

// Clean makes dnsmasq ignore the node's addresses: it follows a change of a host's file by itself, but does not forget what a
// removed file said. What it remembers of the options is out of use without their tag.
func (d Dnsmasq) Clean(ctx context.Context, t *drivers.Task) error {
	if _, tagged := t.Node.DriverInternalInfo[keyTag]; tagged {
		delete(t.Node.DriverInternalInfo, keyTag)
		if err := t.Worker.Save(ctx, t); err != nil {
			return err
		}
	}
	macs, err := bootAddresses(ctx, t)
	if err != nil {
		return err
	}
	for _, mac := range macs {
		if err := replaceFile(d.hostFile(mac), mac+",ignore\n"); err != nil {
			return fmt.Errorf("[dnsmasq]dhcp_hostsdir: %w", err)
		}
	}
	if err := os.Remove(d.optionFile(t.Node)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("[dnsmasq]dhcp_optsdir: %w", err)
	}
	return nil
}

// SetClientID does nothing: dnsmasq goes by MAC addresses.
func (Dnsmasq) SetClientID(context.Context, *drivers.Task, string, string) error { return nil }

// Addresses reads which IP addresses the node's ports have leased. A dnsmasq that has not leased any yet has no file.
func (d Dnsmasq) Addresses(ctx context.Context, t *drivers.Task) ([]string, error) {
	macs, err := bootAddresses(ctx, t)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(d.LeaseFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("[dnsmasq]dhcp_leasefile: %w", err)
	}
	defer file.Close()
	addresses, err := leased(file, macs)
	if err != nil {
		return nil, fmt.Errorf("[dnsmasq]dhcp_leasefile: %w", err)
	}
	return addresses, nil
}

// leased are the IP addresses that a file of leases has for MAC addresses. Lines that are no lease, such as a DUID, are passed over.
func leased(file io.Reader, macs []string) (addresses []string, err error) {
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// expiry, MAC, IP, host name, client id
		if lease := strings.Fields(lines.Text()); len(lease) > 2 && slices.Contains(macs, lease[1]) {
			addresses = append(addresses, lease[2])
		}
	}
	return addresses, lines.Err()
}

// TagsIPXE is true: dnsmasq.conf is to have dhcp-match=set:ipxe,175.
func (Dnsmasq) TagsIPXE() bool { return true }

func (d Dnsmasq) optionFile(n *store.Node) string {
	return filepath.Join(d.OptsDir, "ironic-"+n.UUID+".conf")
}

func (d Dnsmasq) hostFile(mac string) string {
	return filepath.Join(d.HostsDir, "ironic-"+mac+".conf")
}

// bootAddresses are the MAC addresses of the node's ports that boot from the network, each once.
func bootAddresses(ctx context.Context, t *drivers.Task) ([]string, error) {
	ports, err := t.Worker.Ports(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("reading the node's ports: %w", err)
	}
	var macs []string
	for _, p := range ports {
		if p.PXEEnabled == nil || *p.PXEEnabled {
			macs = append(macs, p.Address)
		}
	}
	slices.Sort(macs)
	return slices.Compact(macs), nil
}

// replaceFile writes a file in one step. dnsmasq ignores names that begin with a dot.
func replaceFile(path, content string) error {
	partial := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new")
	if err := os.WriteFile(partial, []byte(content), 0o644); err != nil { //nolint:gosec // dnsmasq has another user
		return err
	}
	return os.Rename(partial, path)
}
