package pxe

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// The sections of a configuration.
const (
	wholeDiskSection = "boot_whole_disk"
	ramdiskSection   = "boot_ramdisk"
	anacondaSection  = "boot_anaconda"
	iscsiSection     = "boot_iscsi"
)

// configuration is what goes into a node's file.
type configuration struct {
	// labels name the kernel and ramdisk to boot; none leaves the section for them empty.
	kernel, ramdisk string
	params          map[string]string
	// instance are the options of the sections that boot an instance.
	instance map[string]any
	// section is booted instead of the ramdisk when not empty.
	section string
}

// writeConfiguration writes a node's file and the links to it. Crash windows: a file without links boots nobody, links are made
// for the file that is there, and both are made again with the step.
func (b *Boot) writeConfiguration(ctx context.Context, t *drivers.Task, c configuration) error {
	mode, err := drivers.BootMode(t.Node, b.cfg.DefaultBootMode)
	if err != nil {
		return err
	}
	grub := mode == store.BootModeUEFI && !b.ipxe
	template, err := b.templates.choose(t.Node, mode, b.ipxe)
	if err != nil {
		return err
	}
	disk := t.Node.DriverInternalInfo.String("root_uuid_or_disk_id")
	if c.section != wholeDiskSection || !strings.HasPrefix(disk, "0x") {
		disk = "" // A UUID of a partition; chain.c32 wants the disk's own number.
	}
	disk = oneLine(disk)
	values := map[string]any{"pxe_options": b.options(t, c), "local_disk": disk,
		"ROOT": "{{ ROOT }}", "DISK_IDENTIFIER": "{{ DISK_IDENTIFIER }}"}
	if grub {
		values["ROOT"], values["DISK_IDENTIFIER"] = "(( ROOT ))", "(( DISK_IDENTIFIER ))"
	}
	text, err := render(template, values)
	if err != nil {
		return err
	}
	if c.section != "" {
		text = bootSection(text, c.section, grub, b.ipxe)
		if disk != "" {
			text = diskMark.ReplaceAllLiteralString(text, disk)
		}
	}
	if err := b.tree.put(t.Node, configName, text); err != nil {
		return fmt.Errorf("writing the boot configuration: %w", err)
	}
	// gofail: var bootConfigWritten struct{}
	return b.link(ctx, t, grub)
}

// options are the variables of ironic's templates.
func (b *Boot) options(t *drivers.Task, c configuration) map[string]any {
	values := map[string]any{
		"pxe_append_params": b.kernelParameters(t, c.params),
		"tftp_server":       b.cfg.TFTPServer,
		"ipxe_timeout":      int(b.cfg.IPXETimeout / time.Millisecond),
		"linux_cmd":         "linux", "initrd_cmd": "initrd",
		"aki_path": "no_kernel", "ari_path": "no_ramdisk", "initrd_filename": "", "ramdisk_opts": "",
		// A section that nobody boots has to be one all the same: PXELINUX refuses the file over a kernel without a name.
		"deployment_aki_path": "no_kernel", "deployment_ari_path": "no_ramdisk",
	}
	if given, ok := t.Node.InstanceInfo["ramdisk_kernel_arguments"].(string); ok {
		values["ramdisk_opts"] = oneLine(given)
	}
	maps.Copy(values, c.instance)
	if c.kernel == "" {
		return values
	}
	values["deployment_aki_path"], values["deployment_ari_path"] = b.location(t.Node, c.kernel), b.location(t.Node, c.ramdisk)
	if b.ipxe {
		values["initrd_filename"] = c.ramdisk
	}
	if url := c.params["ipa-api-url"]; url != "" {
		values["ipa-api-url"] = url
	}
	return values
}

// location is where a boot loader finds a file of the node: a URL for iPXE, an absolute path for GRUB that came over HTTP, and
// one relative to the root over TFTP.
func (b *Boot) location(n *store.Node, name string) string {
	switch {
	case b.ipxe:
		return strings.TrimRight(b.cfg.HTTPURL, "/") + "/" + n.UUID + "/" + name
	case b.http:
		return path.Join("/", b.pathPrefix(), n.UUID, name)
	}
	return n.UUID + "/" + name
}

// pathPrefix is what the HTTP server has before the root's own paths; empty over TFTP.
func (b *Boot) pathPrefix() string {
	if !b.http || b.ipxe {
		return ""
	}
	address, err := url.Parse(b.cfg.HTTPURL)
	if err != nil {
		return ""
	}
	return strings.TrimRight(address.Path, "/")
}

// kernelParameters builds the kernel command line: what the node or else the configuration appends, and then the agent's.
func (b *Boot) kernelParameters(t *drivers.Task, params map[string]string) string {
	line := b.cfg.KernelAppendParams
	for _, place := range []store.Dict{t.Node.InstanceInfo, t.Node.DriverInfo} {
		if value, given := place["kernel_append_params"].(string); given {
			line = strings.ReplaceAll(value, "%default%", line)
			break
		}
	}
	words := []string{line}
	if b.cfg.Debug && !strings.Contains(line, "ipa-debug") {
		words = append(words, "ipa-debug=1")
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		words = append(words, name+"="+params[name])
	}
	if t.GlobalRequestID != "" {
		words = append(words, "ipa-global-request-id="+t.GlobalRequestID)
	}
	return oneLine(strings.Join(words, " "))
}

// link makes the node's ports and, for GRUB, its IP addresses lead to its configuration.
func (b *Boot) link(ctx context.Context, t *drivers.Task, grub bool) error {
	ports, err := t.Worker.Ports(ctx, t)
	if err != nil {
		return fmt.Errorf("reading the node's ports: %w", err)
	}
	for _, p := range ports {
		if !b.cfg.AllPorts && p.PXEEnabled != nil && !*p.PXEEnabled {
			continue
		}
		if err := checkAddress(t.Node, p); err != nil {
			return err
		}
		for _, path := range b.tree.macPaths(p, b.ipxe) {
			if err := b.tree.link(t.Node, path); err != nil {
				return fmt.Errorf("linking the boot configuration: %w", err)
			}
		}
	}
	if !grub {
		return nil
	}
	addresses, err := b.dhcp.Addresses(ctx, t)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		if err := b.tree.linkAddress(t.Node, address); err != nil {
			return fmt.Errorf("linking the boot configuration: %w", err)
		}
	}
	return nil
}

// checkAddress refuses ports that no file can be named after.
func checkAddress(n *store.Node, p *store.Port) error {
	if macForm.MatchString(p.Address) {
		return nil
	}
	return store.Errorf(store.InvalidParameterValue, "Port %s of node %s has no MAC address that it could boot from the network "+
		"with: %q.", p.UUID, n.UUID, p.Address)
}
