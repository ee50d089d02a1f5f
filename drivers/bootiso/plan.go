package bootiso

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/ironmaster/ironmaster/store"
)

// The places of files on the ISO. Those of kernel, ramdisk and ESP image are ironic's.
const (
	kernelPath     = "vmlinuz"
	ramdiskPath    = "initrd"
	espPath        = "boot/grub/efiboot.img"
	isolinuxPath   = "isolinux/isolinux.bin"
	ldlinuxPath    = "isolinux/ldlinux.c32"
	isolinuxConfig = "isolinux/isolinux.cfg"
	networkPath    = "openstack/latest/network_data.json"
	agentCAPath    = "etc/ironic-python-agent/ironic.crt"
	agentCAConfig  = "etc/ironic-python-agent.d/ironic-tls.conf"
)

// configSlot is the room for a boot loader's configuration, in bytes: the text around the command line and MaxParameters.
const configSlot = 4096

// plan is what a template consists of.
type plan struct {
	builder *Builder
	// parts are the hrefs of fetched files by path, fixed the contents of small ones.
	parts map[string]string
	fixed map[string][]byte
	// slots are the sizes of the files that differ from node to node.
	slots map[string]int
	label string
	boot  struct {
		mode   string
		config string
	}
}

func (b *Builder) plan(r Request) (*plan, error) {
	p := &plan{builder: b, parts: map[string]string{kernelPath: r.Kernel, ramdiskPath: r.Ramdisk},
		fixed: map[string][]byte{}, slots: map[string]int{}, label: "VMEDIA_BOOT_ISO"}
	p.boot.mode = r.Mode
	switch r.Mode {
	case store.BootModeUEFI:
		if r.Bootloader == "" {
			return nil, failed("a bootloader (an image of an EFI system partition) is required for UEFI; " +
				"driver_info/bootloader and [conductor]bootloader name none")
		}
		p.parts[espPath] = r.Bootloader
		p.boot.config = cmp.Or(strings.Trim(b.cfg.GrubConfigPath, " /"), "EFI/BOOT/grub.cfg")
	case store.BootModeBIOS:
		if err := p.addIsolinux(); err != nil {
			return nil, err
		}
		p.boot.config = isolinuxConfig
	default:
		return nil, failed("there is no boot mode %q", r.Mode)
	}
	p.slots[p.boot.config] = configSlot
	if b.cfg.AgentCAFile != "" && !r.Instance {
		text, err := os.ReadFile(b.cfg.AgentCAFile)
		if err != nil {
			return nil, failed("reading [agent]api_ca_file: %w", err)
		}
		p.fixed[agentCAPath] = text
		p.fixed[agentCAConfig] = []byte("[DEFAULT]\ncafile = /" + agentCAPath + "\n")
	}
	if len(r.NetworkData) > 0 {
		// Sizes go in powers of two, so that nodes with similar networks share a template.
		size := configSlot
		for size < len(r.NetworkData) {
			size *= 2
		}
		p.slots[networkPath] = size
		// The label by which cloud-init and the agent find such data.
		p.label = "config-2"
	}
	return p, nil
}

// The configurations are ironic's templates. The agent accepts the ISO whose publisher its command line names.
const (
	grubTemplate = "set default=0\nset timeout=5\nset hidden_timeout_quiet=false\n\nmenuentry \"boot_partition\" {\n" +
		"linux /vmlinuz %s --\ninitrd /initrd\n}\n"
	isolinuxTemplate = "default boot\n\nlabel boot\nkernel /vmlinuz\nappend initrd=/initrd text %s --\n"
)

// fill returns the contents of the slots for one node, padded to their size with what their readers skip.
func (p *plan) fill(r Request, publisher string) map[string][]byte {
	template := grubTemplate
	if p.boot.mode == store.BootModeBIOS {
		template = isolinuxTemplate
	}
	parameters := r.Parameters
	if !r.Instance {
		parameters = strings.TrimSpace(parameters + " ir_pub_id=" + publisher)
	}
	slots := map[string][]byte{p.boot.config: fmt.Appendf(nil, template, parameters)}
	if p.slots[networkPath] > 0 {
		slots[networkPath] = bytes.Clone(r.NetworkData)
	}
	for path, content := range slots {
		slots[path] = append(content, bytes.Repeat([]byte("\n"), p.slots[path]-len(content))...)
	}
	return slots
}

// write fetches the parts into dir and makes the template out of them.
func (p *plan) write(ctx context.Context, dir string) (string, error) {
	tree := filepath.Join(dir, "tree")
	for path, href := range p.parts {
		target := filepath.Join(tree, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
			return "", failed("%w", err)
		}
		if err := p.builder.download(ctx, href, target); err != nil {
			return "", err
		}
	}
	small := map[string][]byte{}
	for path, content := range p.fixed {
		small[path] = content
	}
	for path, size := range p.slots {
		small[path] = bytes.Repeat([]byte("\n"), size)
	}
	for path, content := range small {
		target := filepath.Join(tree, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
			return "", failed("%w", err)
		}
		if err := os.WriteFile(target, content, 0o640); err != nil {
			return "", failed("%w", err)
		}
	}
	path := filepath.Join(dir, "template")
	if err := p.master(tree, path); err != nil {
		return "", failed("%w", err)
	}
	return path, nil
}

// master writes the ISO: ISO 9660 with Rock Ridge, for the names that boot loaders look for, and El Torito.
func (p *plan) master(tree, path string) error {
	disk, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o640)
	if err != nil {
		return err
	}
	defer disk.Close()
	system, err := iso9660.Create(file.New(disk, false), 0, 0, sector, tree)
	if err != nil {
		return err
	}
	entry := &iso9660.ElToritoEntry{Platform: iso9660.EFI, Emulation: iso9660.NoEmulation, BootFile: espPath}
	if p.boot.mode == store.BootModeBIOS {
		entry.Platform, entry.BootFile, entry.BootTable = iso9660.BIOS, isolinuxPath, true
		entry.SetLoadSize(4)
	}
	return system.Finalize(iso9660.FinalizeOptions{
		RockRidge: true,
		// ECMA-119 fills with spaces; go-diskfs would use zeros.
		VolumeIdentifier: fmt.Sprintf("%-32s", p.label),
		ElTorito:         &iso9660.ElTorito{BootCatalog: "boot.catalog", Entries: []*iso9660.ElToritoEntry{entry}},
	})
}
