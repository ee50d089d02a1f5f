package pxe

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// recorded is what a Python conductor did for one node (testdata/record.py). 39.0 does the same as 29.0.
type recorded struct {
	TFTP, HTTP map[string]string
	DHCP       [][]any
	Device     [][]any
}

func TestRecordedConductorsDidTheSame(t *testing.T) {
	for version, c := range map[string]struct {
		modern bool
		params string
	}{"21.4": {false, "nofb nomodeset vga=normal"}, "29.0": {true, "nofb vga=normal"}} {
		var all map[string]recorded
		if err := json.Unmarshal([]byte(read(t, "testdata", version+".json")), &all); err != nil {
			t.Fatal(err)
		}
		for name, want := range all {
			t.Run(version+" "+name, func(t *testing.T) {
				boot, mode, _ := strings.Cut(name, " ")
				s := newSite(t, mode)
				s.management.http = true
				s.provider.addresses = []string{"10.0.0.7"}
				s.cfg.KernelAppendParams, s.cfg.PathPrefix, s.cfg.AllPorts = c.params, !c.modern, !c.modern
				b := s.boot(t, boot)
				if err := b.SetUp(); err != nil {
					t.Fatal(err)
				}
				s.prepare(t, b)
				s.compareFiles(t, boot, want)
				if got := fmt.Sprint([]any{s.management.device, s.management.persistent}); got != fmt.Sprint(want.Device[0]) {
					t.Errorf("boot device %s, want %v", got, want.Device)
				}
				var options []string
				for _, o := range s.provider.options {
					options = append(options, fmt.Sprint([]any{o.Name, strings.TrimPrefix(o.Value, filepath.Dir(s.tftp)), o.IPVersion}))
				}
				var wanted []string
				for _, o := range want.DHCP {
					wanted = append(wanted, fmt.Sprint(o))
				}
				if !slices.Equal(options, wanted) {
					t.Errorf("DHCP options\n%s\nwant\n%s", strings.Join(options, "\n"), strings.Join(wanted, "\n"))
				}
			})
		}
	}
}

func (s *site) compareFiles(t *testing.T, boot string, want recorded) {
	t.Helper()
	if boot == "http" {
		// The recorded one writes half of it below the TFTP root, where nobody looks for it.
		for name, text := range want.TFTP {
			want.HTTP[name] = text
		}
		want.TFTP = nil
	}
	if boot == "pxe" {
		delete(want.HTTP, "grub/grub.cfg") // nobody boots GRUB from there with pxe
	}
	for root, files := range map[string]map[string]string{s.tftp: want.TFTP, s.http: want.HTTP} {
		var names []string
		for name, text := range files {
			if strings.HasPrefix(text, "-> ") {
				name += " " + text
			}
			names = append(names, name)
		}
		slices.Sort(names)
		if got := listing(t, root); !slices.Equal(got, names) {
			t.Errorf("%s has\n%s\nwant\n%s", root, strings.Join(got, "\n"), strings.Join(names, "\n"))
		}
		if config := files[nodeUUID+"/config"]; config != "" && boot != "http" {
			if got, want := deploySection(read(t, root, nodeUUID, "config")), deploySection(config); len(want) < 2 || !slices.Equal(got, want) {
				t.Errorf("the ramdisk is booted by\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
}

var (
	bootLine = regexp.MustCompile(`^(kernel|append|ipappend|initrd|linux)(?:efi)? (.*)$`)
	section  = regexp.MustCompile(`(?ms)^(?:label deploy|menuentry "deploy".*?|:deploy)$(.*?)(?:^label|^}|^boot\b)`)
)

// deploySection are the lines that load the ramdisk, without the loader's names for what to do next.
func deploySection(config string) []string {
	var lines []string
	for line := range strings.Lines(section.FindString(config)) {
		if m := bootLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			command, _, _ := strings.Cut(m[2], " || goto ")
			lines = append(lines, m[1]+" "+command)
		}
	}
	return lines
}

func TestValidationHasIronicsTexts(t *testing.T) {
	for name, c := range map[string]struct {
		boot  string
		spoil func(s *site)
		kind  store.Kind
		want  string
	}{
		"no ports": {"pxe", func(s *site) { s.worker.ports = nil }, store.MissingParameterValue,
			"Node " + nodeUUID + " does not have any port associated with it"},
		"a port without address": {"pxe", func(s *site) { s.worker.ports[0].Address = "" }, store.InvalidParameterValue,
			"Port p1 of node " + nodeUUID + ` has no MAC address that it could boot from the network with: "".`},
		"an address that is a path": {"pxe", func(s *site) { s.worker.ports[0].Address = "../../etc" }, store.InvalidParameterValue,
			"Port p1 of node " + nodeUUID + ` has no MAC address that it could boot from the network with: "../../etc".`},
		"no URL": {"ipxe", func(s *site) { s.cfg.HTTPURL = "" }, store.MissingParameterValue,
			"iPXE boot is enabled but no HTTP URL or HTTP root was specified"},
		"no kernel": {"pxe", func(s *site) { s.cfg.Images = Images{} }, store.MissingParameterValue, "Cannot validate PXE " +
			"bootloader. Some parameters were missing in node's driver_info and configuration. Missing are: ['deploy_kernel', 'deploy_ramdisk']"},
		"half from the node": {"pxe", func(s *site) { s.task.Node.DriverInfo["deploy_kernel"] = "x" }, store.MissingParameterValue,
			"Cannot validate PXE bootloader. Some parameters were missing in node's driver_info and configuration. Missing are: ['deploy_ramdisk']"},
		"ISO and image": {"pxe", func(s *site) { s.task.Node.InstanceInfo = store.Dict{"image_source": "a", "boot_iso": "b"} },
			store.InvalidParameterValue, "An 'image_source' and 'boot_iso' parameter may not be specified at the same time"},
	} {
		s := newSite(t, "uefi")
		c.spoil(s)
		if err := s.boot(t, c.boot).Validate(t.Context(), s.task); store.KindOf(err) != c.kind || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	s := newSite(t, "uefi")
	if err := s.boot(t, "pxe").Validate(t.Context(), s.task); err != nil {
		t.Errorf("a good node: %v", err)
	}
	s.task.Node.DriverInfo["pxe_template"] = "/etc/shadow"
	if err := s.boot(t, "pxe").Validate(t.Context(), s.task); store.KindOf(err) != store.InvalidParameterValue ||
		!strings.Contains(err.Error(), "CVE-2026-44917") {
		t.Errorf("a template of the node's own: %v", err)
	}
}

func TestTwoNodesWithOneAddressAreTold(t *testing.T) {
	s := newSite(t, "uefi")
	b := s.boot(t, "ipxe")
	s.prepare(t, b)
	s.task.Node.UUID = otherUUID
	err := b.PrepareRamdisk(t.Context(), s.task, nil)
	if err == nil || !strings.Contains(err.Error(), "leads to the boot configuration of node "+nodeUUID) {
		t.Errorf("got %v", err)
	}
	if err := b.CleanUpRamdisk(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, s.http); !slices.Contains(got, "pxelinux.cfg/"+dashed+" -> ../"+nodeUUID+"/config") {
		t.Errorf("the first node lost its link: %q", got)
	}
	// Once the first one is done with it, the address is free.
	s.task.Node.UUID = nodeUUID
	if err := b.CleanUpRamdisk(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	s.task.Node.UUID = otherUUID
	s.prepare(t, b)
}

func TestCleaningUpFindsLinksOfPortsThatAreGone(t *testing.T) {
	s := newSite(t, "uefi")
	b := s.boot(t, "pxe")
	s.prepare(t, b)
	s.worker.ports = nil
	if err := b.CleanUpInstance(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, s.tftp); !slices.Equal(got, []string{"grub/grub.cfg"}) {
		t.Errorf("left behind: %q", got)
	}
}

func TestFilesThatAreGoneAreWrittenAgain(t *testing.T) {
	s := newSite(t, "uefi")
	b := s.boot(t, "ipxe")
	s.prepare(t, b)
	fetched := s.images.fetched
	if err := b.Resume(t.Context(), s.task); err != nil || s.images.fetched != fetched {
		t.Errorf("with all files there: %v, %d more fetched", err, s.images.fetched-fetched)
	}
	was := listing(t, s.http)
	text := read(t, s.http, nodeUUID, "config")
	if err := b.tree.remove(s.task.Node); err != nil {
		t.Fatal(err)
	}
	if err := b.Resume(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	if got := listing(t, s.http); !slices.Equal(got, was) || read(t, s.http, nodeUUID, "config") != text {
		t.Errorf("written again: %q, want %q", got, was)
	}
	if len(s.images.held) > 0 {
		t.Errorf("still held: %q", s.images.held)
	}
}

var _ drivers.Boot = (*Boot)(nil)
