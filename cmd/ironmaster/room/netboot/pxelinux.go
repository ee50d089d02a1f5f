package netboot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path"
	"strings"
)

// pxelinux is a running PXELINUX of the Syslinux project.
type pxelinux struct {
	*boot
	loader file
}

// runPXELINUX loads the core module, without which PXELINUX 6 does nothing, and the configuration.
func (b *boot) runPXELINUX(ctx context.Context, loader file) (Outcome, error) {
	p := &pxelinux{boot: b, loader: loader}
	if _, err := p.open(ctx, "ldlinux.c32"); err != nil {
		return Outcome{}, fmt.Errorf("PXELINUX: failed to load ldlinux.c32: %w", err)
	}
	config, err := p.config(ctx)
	if err != nil {
		return Outcome{}, fmt.Errorf("PXELINUX: %w", err)
	}
	outcome, err := p.start(ctx, config)
	if err != nil {
		return Outcome{}, fmt.Errorf("PXELINUX: %w", err)
	}
	return outcome, nil
}

// open loads a file, named from the loader's folder, and returns where it was.
func (p *pxelinux) open(ctx context.Context, name string) (file, error) {
	where, err := p.loader.beside(name)
	if err == nil {
		_, err = p.fetch.load(ctx, where)
	}
	return where, err
}

// configNames are the names that a configuration is looked for under, in order: by the system's UUID, by MAC address with the
// type of hardware, by ever shorter parts of the IPv4 address, and the one for all.
func configNames(uuid, mac, address string) []string {
	var names []string
	if uuid != "" {
		names = append(names, strings.ToLower(uuid))
	}
	names = append(names, "01-"+dashed(mac))
	if ip := net.ParseIP(address).To4(); ip != nil {
		for digits := fmt.Sprintf("%02X%02X%02X%02X", ip[0], ip[1], ip[2], ip[3]); digits != ""; digits = digits[:len(digits)-1] {
			names = append(names, digits)
		}
	}
	return append(names, "default")
}

func dashed(mac string) string { return strings.ReplaceAll(strings.ToLower(mac), ":", "-") }

// config reads the first configuration that there is.
func (p *pxelinux) config(ctx context.Context) (pxeConfig, error) {
	for _, name := range configNames(p.m.UUID, p.mac(), p.m.Address) {
		where, err := p.loader.beside("pxelinux.cfg/" + name)
		if err != nil {
			return pxeConfig{}, err
		}
		text, err := p.fetch.read(ctx, where, maxConfig)
		if errors.Is(err, errNotFound) {
			continue
		}
		if err != nil {
			return pxeConfig{}, fmt.Errorf("reading %s: %w", where, err)
		}
		p.log.Debug().Stringer("file", where).Msg("PXELINUX reads its configuration")
		config, err := parsePXELINUX(string(text))
		if err != nil {
			return pxeConfig{}, fmt.Errorf("%s: %w", where, err)
		}
		return config, nil
	}
	return pxeConfig{}, errors.New("no configuration file found")
}

// start boots what the configuration's DEFAULT names: a label, or else a kernel with its parameters.
func (p *pxelinux) start(ctx context.Context, c pxeConfig) (Outcome, error) {
	if c.waits {
		return Outcome{}, errors.New("it waits at its prompt, and nobody is there")
	}
	name, rest, _ := strings.Cut(c.start, " ")
	if name == "" {
		return Outcome{}, errors.New("the configuration has no DEFAULT, so it waits at its prompt")
	}
	entry, labelled := c.labels[name]
	if !labelled {
		entry = pxeEntry{kernel: name}
	}
	return p.bootEntry(ctx, entry, strings.TrimSpace(entry.append+" "+strings.TrimSpace(rest)))
}

// bootEntry boots one entry with its parameters.
func (p *pxelinux) bootEntry(ctx context.Context, e pxeEntry, parameters string) (Outcome, error) {
	if e.localBoot {
		return Outcome{Action: BootNext, Reason: "PXELINUX: LOCALBOOT"}, nil
	}
	if e.kernel == "" {
		return Outcome{}, errors.New("the label has no KERNEL")
	}
	if e.com32 || strings.HasSuffix(strings.ToLower(e.kernel), ".c32") {
		return p.module(ctx, e.kernel, parameters)
	}
	if _, err := p.open(ctx, e.kernel); err != nil {
		return Outcome{}, fmt.Errorf("loading %s: %w", e.kernel, err)
	}
	for _, initrd := range initrds(e.initrd, parameters) {
		if _, err := p.open(ctx, initrd); err != nil {
			return Outcome{}, fmt.Errorf("loading %s: %w", initrd, err)
		}
	}
	line := strings.TrimSpace("BOOT_IMAGE=" + e.kernel + " " + parameters)
	return Outcome{CommandLine: line + p.sysAppend(e.sysAppend)}, nil
}

// initrds are the files that INITRD or the last initrd= of the parameters names.
func initrds(named, parameters string) []string {
	for _, word := range strings.Fields(parameters) {
		if value, found := strings.CutPrefix(word, "initrd="); found {
			named = value
		}
	}
	if named == "" {
		return nil
	}
	return strings.Split(named, ",")
}

// The bits of SYSAPPEND, formerly IPAPPEND.
const (
	appendIP = 1 << iota
	appendBOOTIF
	appendUUID
)

func (p *pxelinux) sysAppend(bits int) string {
	var line string
	if bits&appendIP != 0 {
		line += " ip=" + p.m.Address + ":" + p.loader.server + "::"
	}
	if bits&appendBOOTIF != 0 {
		line += " BOOTIF=01-" + dashed(p.mac())
	}
	if bits&appendUUID != 0 && p.m.UUID != "" {
		line += " SYSUUID=" + p.m.UUID
	}
	return line
}

// module runs a COM32 module, of which there is one that matters: chain.c32 starts what is on a disk.
func (p *pxelinux) module(ctx context.Context, name, parameters string) (Outcome, error) {
	if path.Base(name) != "chain.c32" {
		return Outcome{}, fmt.Errorf("the module %s does nothing in this room", name)
	}
	for _, needed := range []string{name, "libcom32.c32", "libutil.c32"} {
		if _, err := p.open(ctx, needed); err != nil {
			return Outcome{}, fmt.Errorf("loading %s: %w", needed, err)
		}
	}
	words := strings.Fields(parameters)
	if len(words) == 0 {
		return Outcome{}, errors.New("chain.c32: it was not told what to boot")
	}
	if err := p.findDisk(words[0]); err != nil {
		return Outcome{}, fmt.Errorf("chain.c32: %w", err)
	}
	return Outcome{Action: BootNext, Reason: "PXELINUX: chain.c32 " + words[0]}, nil
}

// findDisk holds what chain.c32 is told against the only disk that there is.
func (p *pxelinux) findDisk(which string) error {
	if which == "hd0" || which == "boot" {
		return nil
	}
	wanted, byID := strings.CutPrefix(which, "mbr:")
	if !byID {
		return fmt.Errorf("%q names no disk", which)
	}
	id, err := p.m.DiskID()
	if err != nil {
		return err
	}
	if !strings.EqualFold(id, wanted) {
		return fmt.Errorf("unable to find the disk with the MBR id %s, the disk has %s", wanted, id)
	}
	return nil
}
