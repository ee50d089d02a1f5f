package netboot

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ipxe is a running iPXE.
type ipxe struct {
	*boot
	settings map[string]setting
	commands map[string]ipxeCommand
	// kernel and initrds are the images that were loaded and not freed.
	kernel  *image
	initrds []image
	// outcome is set once the machine leaves iPXE.
	outcome *Outcome
	// said is the last that a script told the screen.
	said string
	// steps counts commands, depth the scripts that run within each other.
	steps, depth int
}

// image is a kernel or ramdisk in iPXE's hands.
type image struct{ name, arguments string }

const (
	ipxeMagic = "#!ipxe"
	// maxSteps and maxDepth end scripts that never would. Scripts that wait for a server sleep most of the time.
	maxSteps = 10_000
	maxDepth = 16
)

// runIPXE asks for DHCP options again, now as iPXE does, and runs the script that they name.
func (b *boot) runIPXE(ctx context.Context, loader file) (Outcome, error) {
	x := &ipxe{boot: b, commands: ipxeCommands()}
	outcome, err := x.autoboot(ctx, loader)
	if err != nil {
		return Outcome{}, fmt.Errorf("iPXE: %w", err)
	}
	return outcome, nil
}

func (x *ipxe) autoboot(ctx context.Context, loader file) (Outcome, error) {
	given, err := x.network.ask(request{mac: x.mac(), address: x.m.Address, ipxe: true})
	if err != nil {
		return Outcome{}, err
	}
	script, err := given.script()
	if err != nil {
		return Outcome{}, err
	}
	if script.String() == loader.String() {
		return Outcome{}, fmt.Errorf("DHCP named %s, which is iPXE itself, again: without end", script)
	}
	x.settings = x.known(given)
	err = x.chain(ctx, script, image{name: script.base()}, fetchTimeout)
	switch {
	case x.outcome != nil:
		return *x.outcome, nil
	case err != nil && x.said != "":
		return Outcome{}, fmt.Errorf("%w; it last said %q", err, x.said)
	case err != nil:
		return Outcome{}, err
	}
	return Outcome{Action: BootNext, Reason: "iPXE: its script has ended"}, nil
}

// script is what iPXE loads: a URL, or a name at the TFTP server.
func (a answer) script() (file, error) {
	name := a.options[optionBootFile]
	if name == "" {
		return file{}, errors.New("DHCP named no boot file (option 67)")
	}
	if strings.Contains(name, "://") {
		return parseURL(name)
	}
	server, err := a.tftpServer()
	return file{server: server, name: name}, err
}

// known are the settings that iPXE begins with, as far as boot scripts ask for them.
func (x *ipxe) known(given answer) map[string]setting {
	settings := map[string]setting{
		"mac": {value: strings.ToLower(x.mac()), kind: "hex"}, "ip": {value: x.m.Address}, "uuid": {value: x.m.UUID},
		"filename": {value: given.options[optionBootFile]}, "next-server": {value: given.options[optionServerIP]},
		"platform": {value: "pcbios"}, "buildarch": {value: "x86_64"},
	}
	if x.m.UEFI {
		settings["platform"] = setting{value: "efi"}
	}
	for nic, mac := range x.m.MACs {
		settings["net"+strconv.Itoa(nic)+"/mac"] = setting{value: strings.ToLower(mac), kind: "hex"}
	}
	settings["net"+strconv.Itoa(x.nic)+"/ip"] = setting{value: x.m.Address}
	return settings
}

// chain fetches an image and executes it: a script, or a kernel.
func (x *ipxe) chain(ctx context.Context, from file, as image, limit time.Duration) error {
	fetching, cancel := context.WithTimeout(ctx, limit)
	content, err := x.fetch.read(fetching, from, maxLoader)
	cancel()
	if err != nil {
		return fmt.Errorf("fetching %s: %w", from, err)
	}
	x.log.Debug().Stringer("file", from).Msg("iPXE has fetched what it executes")
	if !strings.HasPrefix(string(content), ipxeMagic) {
		x.kernel = &as
		return x.boots()
	}
	if x.depth++; x.depth > maxDepth {
		return errors.New("scripts run each other without end")
	}
	defer func() { x.depth-- }()
	s, err := parseScript(string(content))
	if err == nil {
		err = (&runningScript{ipxe: x, from: from, script: s}).run(ctx)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return nil
}

// boots leaves iPXE with the kernel that was loaded. A kernel under UEFI finds a ramdisk by the name that its parameters have.
func (x *ipxe) boots() error {
	if x.kernel == nil {
		return errors.New("there is no kernel to boot")
	}
	if wanted := initrds("", x.kernel.arguments); x.m.UEFI && len(wanted) > 0 {
		for _, name := range wanted {
			if !x.hasInitrd(name) {
				return fmt.Errorf("the kernel looks for the ramdisk %q, and none of that name was loaded", name)
			}
		}
	}
	x.outcome = &Outcome{CommandLine: x.kernel.arguments}
	return nil
}

func (x *ipxe) hasInitrd(name string) bool {
	for _, loaded := range x.initrds {
		if loaded.name == name {
			return true
		}
	}
	return false
}

// leave ends iPXE.
func (x *ipxe) leave(action Action, reason string) {
	if x.said != "" {
		reason = fmt.Sprintf("%s; it last said %q", reason, x.said)
	}
	x.outcome = &Outcome{Action: action, Reason: "iPXE: " + reason}
}
