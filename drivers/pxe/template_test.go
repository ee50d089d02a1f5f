package pxe

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What Jinja2 3.1 made of testdata/own.template with the same values: /usr/bin/python3, Debian 12.
const jinja = "#!ipxe\n\ngoto deploy\n\n:deploy\nkernel --timeout 2000 http://192.0.2.1:8080/" + nodeUUID + "/deploy_kernel " +
	"nofb vga=normal \"q\" <b> ipa-api-url=http://api:6385 initrd=deploy_ramdisk\n  1: a\n  2: B\nnone\n\n:boot_whole_disk\nexit\n"

func TestAnOperatorsTemplateIsRenderedAsJinja2Does(t *testing.T) {
	s := newSite(t, "uefi")
	s.cfg.Templates.IPXE = filepath.Join("testdata", "own.template")
	s.cfg.IPXETimeout = 2e9
	s.cfg.Fallback = true
	s.task.Node.InstanceInfo["kernel_append_params"] = `%default% "q" <b>`
	b := s.boot(t, "ipxe")
	s.prepare(t, b)
	if got := read(t, s.http, nodeUUID, "config"); got != jinja {
		t.Errorf("got\n%s\nwant\n%s", got, jinja)
	}
	if err := b.PrepareInstance(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	if got := read(t, s.http, nodeUUID, "config"); !strings.Contains(got, "\ngoto boot_whole_disk\n") {
		t.Errorf("the disk is not booted by\n%s", got)
	}
}

func TestATemplateThatIsNoneStopsTheStart(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	if err := os.WriteFile(broken, []byte("{% if %}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for option, c := range map[string]TemplateConfig{
		"[pxe]ipxe_config_template":               {IPXE: "/no/such/file"},
		"[pxe]pxe_config_template":                {BIOS: broken},
		"[pxe]pxe_config_template_by_arch, arm64": {ByArch: map[string]string{"arm64": broken}},
		"[pxe]initial_grub_template":              {FirstGrub: broken},
	} {
		s := newSite(t, "uefi")
		s.cfg.Templates = c
		if _, err := New(s.cfg, s.provider, s.images, s.sources); err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("%s: %v", option, err)
		}
	}
}

// A kernel command line is one line, or it would become commands of the boot loader.
func TestNobodyWritesBootCommands(t *testing.T) {
	s := newSite(t, "bios")
	s.task.Node.DriverInfo["kernel_append_params"] = "quiet\nlabel evil\nkernel http://evil/"
	s.task.Node.InstanceInfo["ramdisk_kernel_arguments"] = "quiet\rlabel evil\nlabel evil\nkernel http://evil/"
	s.prepare(t, s.boot(t, "pxe"))
	if text := read(t, s.tftp, nodeUUID, "config"); strings.Contains(text, "\nlabel evil") || strings.Contains(text, "\r") {
		t.Errorf("got\n%s", text)
	}
}

func TestLoadersAreCopied(t *testing.T) {
	s := newSite(t, "uefi")
	loader := filepath.Join(t.TempDir(), "snponly.efi")
	if err := os.WriteFile(loader, []byte("MZ"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cfg.LoaderFiles = map[string]string{"efi/x.efi": loader}
	if err := s.boot(t, "ipxe").SetUp(); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{s.tftp, s.http} {
		info, err := os.Stat(filepath.Join(root, "efi", "x.efi"))
		if err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", root, info, err)
		}
	}
	for name, from := range map[string]string{"../x": loader, "/x": loader, "x": "/no/such/file"} {
		s.cfg.LoaderFiles = map[string]string{name: from}
		if err := s.boot(t, "pxe").SetUp(); err == nil {
			t.Errorf("%s from %s was copied", name, from)
		}
	}
}
