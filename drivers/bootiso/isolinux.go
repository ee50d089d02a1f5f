package bootiso

import (
	"os"
	"path/filepath"
)

// Where distributions have the files of isolinux: ironic's own default, Debian and Ubuntu, Fedora.
var (
	isolinuxDirs = []string{"/usr/lib/syslinux", "/usr/lib/ISOLINUX", "/usr/share/syslinux"}
	ldlinuxDirs  = []string{"/usr/lib/syslinux/modules/bios", "/usr/share/syslinux"}
)

// firstFile returns the first of the folders' files with a name, "" when no folder has one.
func firstFile(dirs []string, name string) string {
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// addIsolinux adds what makes an ISO start in BIOS mode.
func (p *plan) addIsolinux() error {
	boot, library := p.builder.cfg.IsolinuxBin, p.builder.cfg.LdlinuxC32
	if boot == "" {
		boot = firstFile(isolinuxDirs, "isolinux.bin")
	}
	if boot == "" {
		return failed("BIOS mode requires isolinux.bin, and none of %v has it: install the package isolinux, or set "+
			"[DEFAULT]isolinux_bin", isolinuxDirs)
	}
	if library == "" {
		library = firstFile(ldlinuxDirs, "ldlinux.c32")
	}
	sources := map[string]string{isolinuxPath: boot}
	if library != "" { // isolinux before release 5 does not need it
		sources[ldlinuxPath] = library
	}
	for path, source := range sources {
		text, err := os.ReadFile(source)
		if err != nil {
			return failed("reading what BIOS mode requires: %w", err)
		}
		p.fixed[path] = text
	}
	return nil
}
