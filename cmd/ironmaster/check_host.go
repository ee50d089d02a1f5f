package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/drivers/iscsi"
	"github.com/ironmaster/ironmaster/drivers/neutron"
	"github.com/ironmaster/ironmaster/drivers/pxe"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/storage"
	"github.com/ironmaster/ironmaster/messaging"
)

// checkHardware works out what would be enabled.
func (c *checker) checkHardware(ctx context.Context) []finding {
	s, _, release, err := c.settings(ctx)
	if err != nil {
		return configProblems(err)
	}
	wanted, err := explicitLists(s)
	if err != nil {
		return configProblems(err)
	}
	built := catalog.New(nominalParts(release))
	left := trimDefaults(built, &wanted)
	enabled, warnings, err := catalog.Enable(built, wanted)
	var all []finding
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			all = append(all, finding{levelFail, line, "take the name out of the option, after moving its nodes to another driver " +
				"or interface, or keep a Python conductor for them in a conductor group of its own"})
		}
	} else {
		for _, hardware := range enabled.HardwareTypes() {
			all = append(all, okay("%s", describeHardware(enabled, hardware)))
		}
	}
	for _, w := range warnings {
		all = append(all, finding{levelWarn, w, "correct the option"})
	}
	if len(left) > 0 {
		all = append(all, finding{levelWarn, "left out of ironic's defaults, for this build lacks them: " + strings.Join(left, "; "),
			"none needed if no node uses them; to end this line name in the enabled_* options what is wanted"})
	}
	return all
}

// trimDefaults takes out of lists that no operator wrote what this build does not have, and returns it by list.
func trimDefaults(built *drivers.Catalog, c *catalog.Config) (left []string) {
	trim := func(what string, list catalog.List, known []string) catalog.List {
		if list.Explicit || len(known) == 0 {
			// Without any, the release does not know that type of interface.
			return list
		}
		var has, lacks []string
		for _, name := range list.Names {
			if slices.Contains(known, name) {
				has = append(has, name)
			} else {
				lacks = append(lacks, name)
			}
		}
		if len(lacks) > 0 {
			left = append(left, what+" "+strings.Join(lacks, ", "))
		}
		return catalog.List{Names: has}
	}
	c.HardwareTypes = trim("hardware types", c.HardwareTypes, slices.Collect(maps.Keys(built.Types)))
	for _, typ := range slices.Sorted(maps.Keys(c.Interfaces)) {
		// An empty list would stand for another choice.
		if list := trim(string(typ), c.Interfaces[typ], built.Names(typ)); len(list.Names) > 0 {
			c.Interfaces[typ] = list
		}
	}
	return left
}

// nominalParts stand for the drivers of this build where only their names are asked for.
func nominalParts(release messaging.Release) catalog.Parts {
	bmcs := ipmi.New(ipmi.DefaultConfig(), zerolog.Nop())
	p := catalog.Parts{
		Deploys: deployInterfaces(&agent.Deploy{}, &iscsi.Deploy{}, release, nil), AgentPower: &agent.Power{}, AgentRAID: &agent.RAID{},
		AgentRescue: &agent.Rescue{}, RedfishPower: &redfish.Power{}, RedfishInspect: &redfish.Inspect{}, AgentInspect: &agent.Inspect{},
		Inspector:         &agent.Inspector{},
		RedfishManagement: &redfish.Management{}, VirtualMedia: &redfish.VirtualMedia{}, Firmware: release >= messaging.V22_1,
		RedfishSerial: release > messaging.V2025_2,
		Vendors: openVendors(nil, &config.Settings{}, release, nil, nil, ramdisks{}, bmcs).and(openIPMI(bmcs, release)).
			and(vendorInspection(nil, &config.Settings{}, release, redfish.InspectConfig{}, nil)).
			and(openSNMP(&config.Settings{}, release, zerolog.Nop())).and(openILOConsole(nil, bmcs, &config.Settings{}, release)),
		PXE: &pxe.Boot{}, IPXE: &pxe.Boot{}, HTTP: &pxe.Boot{}, HTTPIPXE: &pxe.Boot{},
		Flat: &neutron.Flat{}, Neutron: &neutron.Separate{}, External: &storage.External{}, Cinder: &storage.Cinder{},
	}
	addGraphicalConsoles(&p, &config.Settings{}, nil, nil, release)
	if bootsISOByHTTP(release) {
		p.RedfishHTTPS = &redfish.HTTPS{}
	}
	if release < messaging.V22_1 {
		p.AgentInspect = nil
	}
	if release > messaging.V2025_2 {
		p.Inspector = nil
	}
	if release < messaging.V25_0 {
		p.HTTP, p.HTTPIPXE = nil, nil
	}
	if hasRetiredTypes(release) {
		for name, boot := range vendorBoots(nil, &config.Settings{}, pxe.Interfaces{PXE: &pxe.Boot{}, IPXE: &pxe.Boot{}}) {
			vendorInterfaces(p.Vendors).add(vendorInterfaces{drivers.TypeBoot: {name: boot}})
		}
	}
	return p
}

// describeHardware names the interfaces of a hardware type, without those that do nothing.
func describeHardware(e *catalog.Enabled, hardware string) string {
	var parts []string
	for _, typ := range []drivers.InterfaceType{drivers.TypePower, drivers.TypeManagement, drivers.TypeBoot,
		drivers.TypeDeploy, drivers.TypeNetwork, drivers.TypeStorage, drivers.TypeBIOS, drivers.TypeRAID, drivers.TypeInspect,
		drivers.TypeRescue, drivers.TypeConsole, drivers.TypeFirmware, drivers.TypeVendor} {
		names := slices.DeleteFunc(e.Interfaces(hardware, typ), func(name string) bool {
			return name == "noop" || strings.HasPrefix(name, "no-")
		})
		if len(names) > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", typ, strings.Join(names, ", ")))
		}
	}
	return hardware + ": " + strings.Join(parts, "; ")
}

// checkImageServer tells whether the image server could listen and be reached.
func (c *checker) checkImageServer(ctx context.Context) []finding {
	s := c.first.Ironmaster
	base, err := url.Parse(s.ImageServerURL)
	if err != nil || base.Host == "" {
		return []finding{{levelFail, "[ironmaster]image_server_url is not a URL", "give it as http://address:port"}}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.ImageServerListen)
	switch {
	case err == nil:
		_ = listener.Close() // Nothing was accepted.
	case errors.Is(err, syscall.EADDRINUSE):
		if _, err := askHealth(ctx, dialAddress(s.AdminListen)); err != nil {
			return []finding{{levelFail, fmt.Sprintf("another program listens at %s", s.ImageServerListen),
				"end it, or set [ironmaster]image_server_listen to a free port"}}
		}
	default:
		return []finding{{levelFail, err.Error(), "set [ironmaster]image_server_listen to an address of this machine"}}
	}
	if ip := net.ParseIP(base.Hostname()); base.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		return []finding{{levelWarn, fmt.Sprintf("machines are told to fetch images from %s, which is reached from this machine only",
			base.Host), "set [DEFAULT]my_ip or [ironmaster]image_server_url to an address that machines and BMCs reach; a " +
			"simulated room needs nothing"}}
	}
	return []finding{okay("machines fetch images from %s", s.ImageServerURL)}
}

// checkDirectories tells whether every directory can be written to.
func (c *checker) checkDirectories(context.Context) []finding {
	s := c.first
	state := filepath.Dir(s.Ironmaster.StateFile)
	var all []finding
	if _, err := os.Stat(state); err != nil {
		all = append(all, finding{levelFail, fmt.Sprintf("the directory of [ironmaster]state_file: %v", err),
			fmt.Sprintf("make %s and give it to the conductor's user", state)})
	}
	dirs := conductorDirs(s)
	for _, d := range dirs {
		if err := tryWriting(d.path); err != nil {
			all = append(all, finding{levelFail, fmt.Sprintf("%s: %v", d.option, err),
				fmt.Sprintf("let the conductor's user write to %s, or set the option to another directory", d.path)})
		}
	}
	master, images := s.PXE.InstanceMasterPath, s.PXE.ImagesPath
	if master != "" && device(master) != device(images) {
		all = append(all, finding{levelFail, fmt.Sprintf("%s and %s lie on different file systems", master, images),
			"set [pxe]instance_master_path and [pxe]images_path to directories of one file system"})
	}
	if len(all) == 0 {
		all = []finding{okay("all %d can be written to", len(dirs))}
	}
	return all
}

type namedDir struct{ option, path string }

// conductorDirs are the directories that the conductor writes to.
func conductorDirs(s *config.Settings) []namedDir {
	dirs := []namedDir{
		{"[ironmaster]state_file", filepath.Dir(s.Ironmaster.StateFile)},
		{"[pxe]images_path", s.PXE.ImagesPath},
		{"[deploy]iso_master_path", s.Deploy.ISOMasterPath}, {"[DEFAULT]tempdir", s.Default.TempDir},
		{"[agent]certificates_path", s.Agent.CertificatesPath},
	}
	if s.PXE.InstanceMasterPath != "" {
		dirs = append(dirs, namedDir{"[pxe]instance_master_path", s.PXE.InstanceMasterPath})
	}
	if s.Agent.DeployLogsCollect != string(agent.CollectNever) {
		dirs = append(dirs, namedDir{"[agent]deploy_logs_local_path", s.Agent.DeployLogsLocalPath})
	}
	if path := logPath(s.Log); path != "" {
		dirs = append(dirs, namedDir{"[DEFAULT]log_dir", filepath.Dir(path)})
	}
	return dirs
}

// existing is the nearest directory at or above path that exists: the others are made when they are needed.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}

// tryWriting makes a file in a directory, or where the directory would be made, and removes it.
func tryWriting(dir string) error {
	file, err := os.CreateTemp(existing(dir), ".ironmaster-check-*")
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), os.Remove(file.Name()))
}

// device identifies the file system of a directory; 0 when it cannot be told.
func device(dir string) uint64 {
	var stat syscall.Stat_t
	if err := syscall.Stat(existing(dir), &stat); err != nil {
		return 0
	}
	return uint64(stat.Dev)
}

// checkPrograms looks for the programs that conversion runs.
func (c *checker) checkPrograms(ctx context.Context) []finding {
	cfg := imageConfig(c.first).Convert
	missing := func(program, debianPackage string) []finding {
		f := finding{levelFail, program + " is not installed, so no image can be converted to raw",
			"install the package " + debianPackage}
		if !c.first.Default.ForceRawImages {
			f.level = levelWarn
		}
		return []finding{f}
	}
	path, err := exec.LookPath(cfg.QemuImg)
	if err != nil {
		return missing(cfg.QemuImg, "qemu-utils")
	}
	if _, err := exec.LookPath(cfg.Prlimit); err != nil {
		return missing(cfg.Prlimit, "util-linux")
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		return []finding{{levelFail, fmt.Sprintf("%s does not run: %v", path, err), "install the package qemu-utils anew"}}
	}
	version, _, _ := strings.Cut(string(out), "\n")
	all := []finding{okay("%s", version)}
	if slices.Contains(c.first.Default.EnabledDeploy, "iscsi") {
		all = append(all, checkISCSI(ctx, path)...)
	}
	return all
}

// checkISCSI looks whether qemu-img knows iSCSI. It asks for a target at a port where nobody listens.
func checkISCSI(ctx context.Context, qemuImg string) []finding {
	out, err := exec.CommandContext(ctx, qemuImg, "info", "--image-opts",
		"driver=iscsi,transport=tcp,portal=127.0.0.1:1,target=iqn.2008-10.org.openstack:check,lun=1").CombinedOutput()
	if err != nil && strings.Contains(string(out), "Unknown driver") {
		return []finding{{levelFail, "qemu-img does not know iSCSI, which [DEFAULT]enabled_deploy_interfaces names",
			"install the package qemu-block-extra"}}
	}
	return nil
}
