package pxe

import (
	"context"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/dhcp"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

const (
	nodeUUID  = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
	otherUUID = "2be26c0b-03f2-4d2e-ae87-c02d7f33c123"
	mac       = "52:54:00:aa:bb:01"
	dashed    = "52-54-00-aa-bb-01"
)

// site is a conductor's folders, its Neutron or dnsmasq, its images and one node.
type site struct {
	tftp, http string
	cfg        Config
	provider   *provider
	images     *images
	sources    image.Sources
	task       *drivers.Task
	worker     *worker
	management *management
}

func newSite(t *testing.T, mode string) *site {
	t.Helper()
	dir := t.TempDir()
	s := &site{tftp: filepath.Join(dir, "tftpboot"), http: filepath.Join(dir, "httpboot"), provider: &provider{},
		images: &images{dir: filepath.Join(dir, "cache")}, management: &management{Management: noop.NewManagement()},
		worker: &worker{journal: map[string][]byte{}, ports: []*store.Port{{UUID: "p1", Address: mac}}}}
	for _, d := range []string{s.tftp, s.http, s.images.dir} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	s.cfg = Config{TFTPServer: "192.0.2.1", TFTPRoot: s.tftp, HTTPRoot: s.http, HTTPURL: "http://192.0.2.1:8080",
		Subdir: "pxelinux.cfg", FileMode: 0o644, DefaultBootMode: mode, KernelAppendParams: "nofb vga=normal",
		Loaders:     BootFiles{BIOS: "pxelinux.0", UEFI: "bootx64.efi"},
		IPXELoaders: BootFiles{BIOS: "undionly.kpxe", UEFI: "snponly.efi"}, PathPrefix: true, AllPorts: true,
		Images: Images{DeployKernel: "http://images/kernel", DeployRamdisk: "http://images/ramdisk"}}
	s.task = &drivers.Task{Worker: s.worker, Log: zerolog.Nop(), Node: &store.Node{UUID: nodeUUID, ProvisionState: store.Deploying,
		DriverInfo: store.Dict{}, InstanceInfo: store.Dict{}, DriverInternalInfo: store.Dict{}, Properties: store.Dict{}},
		Hardware: &drivers.Hardware{Management: s.management, Network: noop.NewNetwork(), Power: fake.NewPower(fake.Config{}),
			Storage: noop.NewStorage()}}
	return s
}

func (s *site) boot(t *testing.T, name string) *Boot {
	t.Helper()
	all, err := New(s.cfg, s.provider, s.images, s.sources)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*Boot{"pxe": all.PXE, "ipxe": all.IPXE, "http": all.HTTP, "http-ipxe": all.HTTPIPXE}[name]
}

func (s *site) prepare(t *testing.T, b *Boot) {
	t.Helper()
	if err := b.PrepareRamdisk(t.Context(), s.task, map[string]string{"ipa-api-url": "http://api:6385"}); err != nil {
		t.Fatal(err)
	}
}

// listing is what a root holds: files by name, links with what they lead to.
func listing(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(root, path)
		if target, err := os.Readlink(path); err == nil {
			name += " -> " + target
		}
		all = append(all, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	return all
}

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestFilesLieWhereIronicPutsThem(t *testing.T) {
	node := []string{nodeUUID + "/config", nodeUUID + "/deploy_kernel", nodeUUID + "/deploy_ramdisk"}
	byMAC := []string{mac + ".conf -> " + nodeUUID + "/config", "grub.cfg-01-" + dashed + " -> " + nodeUUID + "/config"}
	byIP := "10.0.0.7.conf -> " + nodeUUID + "/config"
	for _, c := range []struct {
		boot, mode string
		tftp, http []string
	}{
		{"pxe", "bios", slices.Concat(node, byMAC, []string{"grub/grub.cfg", "pxelinux.cfg/01-" + dashed + " -> ../" + nodeUUID + "/config"}), nil},
		{"pxe", "uefi", slices.Concat(node, byMAC, []string{byIP, "grub/grub.cfg",
			"pxelinux.cfg/01-" + dashed + " -> ../" + nodeUUID + "/config"}), nil},
		{"ipxe", "uefi", nil, slices.Concat(node, byMAC, []string{"boot.ipxe", "pxelinux.cfg/" + dashed + " -> ../" + nodeUUID + "/config"})},
		{"http-ipxe", "uefi", nil, slices.Concat(node, byMAC, []string{"boot.ipxe", "pxelinux.cfg/" + dashed + " -> ../" + nodeUUID + "/config"})},
		{"http", "uefi", nil, slices.Concat(node, byMAC, []string{byIP, "grub/grub.cfg",
			"pxelinux.cfg/01-" + dashed + " -> ../" + nodeUUID + "/config"})},
	} {
		t.Run(c.boot+" "+c.mode, func(t *testing.T) {
			s := newSite(t, c.mode)
			s.provider.addresses = []string{"10.0.0.7"}
			b := s.boot(t, c.boot)
			if err := b.SetUp(); err != nil {
				t.Fatal(err)
			}
			s.prepare(t, b)
			slices.Sort(c.tftp)
			slices.Sort(c.http)
			if got := listing(t, s.tftp); !slices.Equal(got, c.tftp) {
				t.Errorf("tftp root:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.tftp, "\n"))
			}
			if got := listing(t, s.http); !slices.Equal(got, c.http) {
				t.Errorf("http root:\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(c.http, "\n"))
			}
			root := s.tftp
			if c.http != nil {
				root = s.http
			}
			if got := read(t, root, nodeUUID, "deploy_kernel"); got != "bytes of http://images/kernel" {
				t.Errorf("the kernel is %q", got)
			}
			// Again, as after a crash, and then away with it.
			s.prepare(t, b)
			if err := b.CleanUpRamdisk(t.Context(), s.task); err != nil {
				t.Fatal(err)
			}
			for _, name := range append(listing(t, s.tftp), listing(t, s.http)...) {
				if name != "boot.ipxe" && name != "grub/grub.cfg" {
					t.Errorf("%s is left behind", name)
				}
			}
		})
	}
}

func TestConfigurationsBootTheRamdisk(t *testing.T) {
	for _, c := range []struct {
		boot, mode string
		want       []string
	}{
		{"pxe", "bios", []string{"default deploy\n", "\nkernel " + nodeUUID + "/deploy_kernel\n",
			"\nappend initrd=" + nodeUUID + "/deploy_ramdisk selinux=0 troubleshoot=0 text nofb vga=normal ipa-api-url=http://api:6385\n",
			"\nipappend 2\n"}},
		{"pxe", "uefi", []string{"set default=deploy\n", " linux " + nodeUUID + "/deploy_kernel selinux=0 troubleshoot=0 text nofb " +
			"vga=normal ipa-api-url=http://api:6385 boot_server=192.0.2.1\n", " initrd " + nodeUUID + "/deploy_ramdisk\n"}},
		{"http", "uefi", []string{" linux /" + nodeUUID + "/deploy_kernel ", " initrd /" + nodeUUID + "/deploy_ramdisk\n"}},
		{"ipxe", "uefi", []string{"#!ipxe\n", "\ngoto deploy\n", "\nkernel http://192.0.2.1:8080/" + nodeUUID +
			"/deploy_kernel selinux=0 troubleshoot=0 text nofb vga=normal ipa-api-url=http://api:6385 BOOTIF=${mac} " +
			"initrd=deploy_ramdisk || goto again\n", "\ninitrd http://192.0.2.1:8080/" + nodeUUID + "/deploy_ramdisk || goto again\n"}},
	} {
		s := newSite(t, c.mode)
		s.prepare(t, s.boot(t, c.boot))
		root := s.http
		if c.boot == "pxe" {
			root = s.tftp
		}
		text := read(t, root, nodeUUID, "config")
		for _, want := range c.want {
			if !strings.Contains(text, want) {
				t.Errorf("%s %s: %q is missing in\n%s", c.boot, c.mode, want, text)
			}
		}
		if s.management.device != store.BootDevicePXE || s.management.persistent {
			t.Errorf("%s: boot device %s, persistent %v", c.boot, s.management.device, s.management.persistent)
		}
	}
}

func TestTheInstanceBootsFromItsDisk(t *testing.T) {
	s := newSite(t, "uefi")
	b := s.boot(t, "pxe")
	s.prepare(t, b)
	if err := b.PrepareInstance(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	if s.management.device != store.BootDeviceDisk || !s.management.persistent {
		t.Errorf("boot device %s, persistent %v", s.management.device, s.management.persistent)
	}
	if got := listing(t, s.tftp); !slices.Equal(got, []string{"grub/grub.cfg"}) {
		t.Errorf("left behind: %q", got)
	}
}

func TestAFallbackSendsTheMachineToItsDisk(t *testing.T) {
	for _, c := range []struct{ boot, mode, want string }{
		{"pxe", "bios", "default boot_whole_disk\n"}, {"pxe", "uefi", "set default=boot_whole_disk\n"},
		{"ipxe", "bios", "\ngoto boot_whole_disk\n\n:deploy\n"},
	} {
		s := newSite(t, c.mode)
		s.cfg.Fallback = true
		b := s.boot(t, c.boot)
		s.prepare(t, b)
		if err := b.PrepareInstance(t.Context(), s.task); err != nil {
			t.Fatal(err)
		}
		text := read(t, b.tree.root, nodeUUID, "config")
		if !strings.Contains(text, c.want) {
			t.Errorf("%s %s: %q is missing in\n%s", c.boot, c.mode, c.want, text)
		}
		if _, err := os.Stat(filepath.Join(b.tree.root, nodeUUID, "deploy_kernel")); err == nil {
			t.Errorf("%s %s: the ramdisk is still there", c.boot, c.mode)
		}
	}
}

// worker stands in for the conductor.
type worker struct {
	drivers.Worker
	journal map[string][]byte
	ports   []*store.Port

	targets    []*store.VolumeTarget
	connectors []*store.VolumeConnector
}

func (w *worker) VolumeTargets(context.Context, *drivers.Task) ([]*store.VolumeTarget, error) {
	return w.targets, nil
}

func (w *worker) VolumeConnectors(context.Context, *drivers.Task) ([]*store.VolumeConnector, error) {
	return w.connectors, nil
}

func (*worker) Save(context.Context, *drivers.Task) error                     { return nil }
func (w *worker) Ports(context.Context, *drivers.Task) ([]*store.Port, error) { return w.ports, nil }
func (*worker) SetPower(context.Context, *drivers.Task, string) error         { return nil }
func (*worker) Report(*drivers.Task, drivers.Progress)                        {}
func (w *worker) Journal(*drivers.Task) drivers.Journal                       { return w }
func (w *worker) Put(_ context.Context, key string, value any) error {
	text, err := json.Marshal(value)
	w.journal[key] = text
	return err
}
func (w *worker) Get(_ context.Context, key string, into any) (bool, error) {
	text, ok := w.journal[key]
	if !ok {
		return false, nil
	}
	return true, json.Unmarshal(text, into)
}

// management remembers the boot device.
type management struct {
	*noop.Management
	device     string
	persistent bool
	http       bool // knows uefihttp
}

func (m *management) SetBootDevice(ctx context.Context, t *drivers.Task, device string, persistent bool) error {
	if err := m.Management.SetBootDevice(ctx, t, device, persistent); err != nil && (!m.http || device != store.BootDeviceUEFIHTTP) {
		return err
	}
	m.device, m.persistent = device, persistent
	return nil
}

// provider remembers DHCP options.
type provider struct {
	options   []dhcp.Option
	addresses []string
	untagged  bool
}

func (p *provider) Update(_ context.Context, _ *drivers.Task, options []dhcp.Option) error {
	p.options = options
	return nil
}
func (p *provider) Addresses(context.Context, *drivers.Task) ([]string, error) {
	return p.addresses, nil
}
func (p *provider) TagsIPXE() bool { return !p.untagged }

// images has every file that is asked for.
type images struct {
	dir     string
	fetched int
	held    []string
	// content is what kickstart templates contain; other files contain their names.
	content string
}

func (i *images) Fetch(_ context.Context, _ *drivers.Task, ref image.Ref, name string) (string, error) {
	i.fetched++
	i.held = append(i.held, name)
	path := filepath.Join(i.dir, strings.ReplaceAll(ref.Href, "/", "_"))
	content := "bytes of " + ref.Href
	if name == templateName {
		content = i.content
	}
	return path, os.WriteFile(path, []byte(content), 0o600)
}

func (i *images) Release(_ *drivers.Task, name string) error {
	i.held = slices.DeleteFunc(i.held, func(n string) bool { return n == name })
	return nil
}

// No BIOS boots over HTTP, so nobody has to wait for one that should.
func TestHTTPNeedsUEFI(t *testing.T) {
	for _, name := range []string{"pxe", "ipxe", "http", "http-ipxe"} {
		for _, mode := range []string{store.BootModeBIOS, store.BootModeUEFI} {
			s := newSite(t, store.BootModeUEFI)
			s.task.Node.BootInterface = name
			s.task.Node.Properties["capabilities"] = "boot_mode:" + mode
			err := s.boot(t, name).Validate(t.Context(), s.task)
			refused := store.KindOf(err) == store.InvalidParameterValue && strings.Contains(err.Error(), "needs the boot mode uefi")
			if want := mode == store.BootModeBIOS && strings.HasPrefix(name, "http"); refused != want || !refused && err != nil {
				t.Errorf("%s with %s: %v", name, mode, err)
			}
		}
	}
}
