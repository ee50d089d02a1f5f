package wholeworker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/go-crypt/crypt/algorithm/shacrypt"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// crashFlow is a flow during which the worker is killed.
type crashFlow struct {
	name string
	// boot is the node's boot interface, when it is not redfish-virtual-media.
	boot string
	// from is the state that the node begins in, on whether its machine has power then.
	from string
	on   bool
	// instance tells that the node has an instance.
	instance bool
	// order is the body of the request that begins the flow.
	order map[string]any
	// orderOf makes that body where it names what the world holds.
	orderOf func(*crashWorld) map[string]any
	// target is where the flow ends, step the destructive step of its agent.
	target string
	step   string
	// deploy is the node's deploy interface, direct when it is empty. Over iSCSI the instance has a config drive.
	deploy string
	// inspect is the node's inspect interface, the default one when it is empty.
	inspect string
	// info is the node's instance_info, of a node that has no instance.
	info func(*crashWorld) map[string]any
	// keepsStep tells that the row may keep its step, as ironic's does after an installation.
	keepsStep bool
	// arrays tells that the node has a target configuration of its arrays.
	arrays bool
	// check looks at the machine afterwards.
	check func(*crashRun) error
	// face is the vendor of the machine's BMC, own are fields of the node, ready completes it.
	face  string
	own   map[string]any
	ready func(*crashRun, context.Context) error
}

// servicesHere tells that the release that is tested knows servicing, and that its ironic-api answers the lookup of an agent that
// is to service its node: that of 29.0 does so with fast track only.
func servicesHere() bool { return os.Getenv(lab.ReleaseVariable) == "newest" }

// agentInspectsHere tells that the release that is tested has the inspect interface agent: those newer than the lab's own do.
func agentInspectsHere() bool { return os.Getenv(lab.ReleaseVariable) != "" }

// absentHere tells that the release that is tested lacks a flow, or a point of such a flow, by the beginning of its name.
func absentHere(name string) bool {
	return strings.HasPrefix(name, "service") && !servicesHere() ||
		(strings.HasPrefix(name, "ilo") || name == "configure-hpe" || strings.HasPrefix(name, "dellImport")) && !vendorsHere() ||
		(strings.HasPrefix(name, "findings") || name == "inspect-agent") && !agentInspectsHere()
}

var crashFlows = slices.DeleteFunc([]crashFlow{
	{name: "deploy", from: "available", instance: true, order: map[string]any{"target": "active"}, target: "active",
		step: "write_image", check: (*crashRun).checkDeployed},
	{name: "deploy-iscsi", from: "available", instance: true, order: map[string]any{"target": "active"}, target: "active",
		step: "start_iscsi_target", deploy: "iscsi", check: (*crashRun).checkOverISCSI},
	{name: "tear-down", from: "active", on: true, instance: true, order: map[string]any{"target": "deleted"},
		target: "available", step: "erase_devices", check: (*crashRun).checkOff},
	{name: "clean", from: "manageable", order: map[string]any{"target": "clean", "clean_steps": []any{
		map[string]any{"interface": "deploy", "step": "erase_devices"}}}, target: "manageable", step: "erase_devices",
		check: (*crashRun).checkOff},
	{name: "configure", from: "manageable", orderOf: configureOrder, target: "manageable", step: "erase_devices", arrays: true,
		own: configureOwn(), check: (*crashRun).checkConfigured},
	{name: "configure-dell", from: "manageable", orderOf: configureDell, target: "manageable", step: "erase_devices", arrays: true,
		face: "dell", own: dellOwn, check: (*crashRun).checkDell},
	{name: "configure-hpe", from: "manageable", order: configureHPE, target: "manageable", step: "erase_devices", face: "hpe", own: hpeOwn,
		check: (*crashRun).checkHPE},
	{name: "deploy-ipxe", boot: "ipxe", from: "available", instance: true, order: map[string]any{"target": "active"}, target: "active",
		step: "write_image", check: (*crashRun).checkDeployed},
	{name: "deploy-network", from: "available", instance: true, order: map[string]any{"target": "active"}, target: "active",
		step: "write_image", own: map[string]any{"network_interface": "neutron"}, ready: (*crashRun).attachVIF, check: (*crashRun).checkPlugged},
	{name: "tear-down-network", from: "active", on: true, instance: true, order: map[string]any{"target": "deleted"}, target: "available",
		step: "erase_devices", own: map[string]any{"network_interface": "neutron"}, ready: (*crashRun).attachVIF, check: (*crashRun).checkUnplugged},
	{name: "deploy-volume", boot: "ipxe", from: "available", order: map[string]any{"target": "active"}, target: "active",
		own: volumeOwn, ready: (*crashRun).offerVolume, check: (*crashRun).checkAttached},
	{name: "tear-down-volume", boot: "ipxe", from: "active", on: true, order: map[string]any{"target": "deleted"}, target: "available",
		step: "erase_devices", own: volumeOwn, ready: (*crashRun).offerVolume, check: (*crashRun).checkDetached},
	{name: "deploy-ramdisk", from: "available", order: map[string]any{"target": "active"}, target: "active", deploy: "ramdisk",
		info: ramdiskInfo, check: (*crashRun).checkRamdisk},
	{name: "deploy-custom-agent", from: "available", order: customOrder, target: "active", step: "erase_devices_metadata",
		deploy: "custom-agent", check: (*crashRun).checkBlank},
	{name: "deploy-anaconda", boot: "ipxe", from: "available", order: map[string]any{"target": "active"}, target: "active",
		deploy: "anaconda", info: installInfo, step: "install", keepsStep: true, check: (*crashRun).checkDeployed},
	{name: "inspect", from: "inspect failed", order: map[string]any{"target": "inspect"}, target: "manageable"},
	{name: "inspect-agent", from: "inspect failed", order: map[string]any{"target": "inspect"}, target: "manageable", inspect: "agent"},
	{name: "manage", from: "enroll", order: map[string]any{"target": "manage"}, target: "manageable"},
	{name: "adopt", from: "manageable", on: true, instance: true, order: map[string]any{"target": "adopt"}, target: "active"},
	{name: "rescue", from: "active", on: true, instance: true, order: map[string]any{"target": "rescue", "rescue_password": rescuePassword},
		target: "rescue", check: (*crashRun).checkRescued},
	{name: "unrescue", from: "rescue", on: true, instance: true, order: map[string]any{"target": "unrescue"}, target: "active",
		check: (*crashRun).checkBlank},
	{name: "service", from: "active", on: true, instance: true, order: map[string]any{"target": "service", "service_steps": []any{
		map[string]any{"interface": "deploy", "step": "burnin_cpu"}}}, target: "active", step: "burnin_cpu",
		check: (*crashRun).checkBlank},
}, func(f crashFlow) bool { return absentHere(f.name) })

// rescuePassword is what the user of a rescued machine logs in with.
const rescuePassword = "open sesame"

// row is the SQL that puts a node where the flow begins. A group of its own keeps other workers off.
func (f crashFlow) row(c *crashWorld, group string) (string, error) {
	power, instance := "power off", []byte("{}")
	if f.on {
		power = "power on"
	}
	if f.instance {
		var err error
		info := map[string]any{"image_source": "file://" + c.img.raw, "image_checksum": c.img.sum}
		if f.deploy == "iscsi" {
			info["configdrive"] = map[string]any{"meta_data": map[string]any{"hostname": "over-iscsi"}}
		}
		instance, err = json.Marshal(info)
		if err != nil {
			return "", err
		}
	}
	if f.info != nil {
		var err error
		if instance, err = json.Marshal(f.info(c)); err != nil {
			return "", err
		}
	}
	row := fmt.Sprintf("UPDATE nodes SET conductor_group = '%s', provision_state = '%s', power_state = '%s', instance_info = '%s'",
		group, f.from, power, instance)
	if f.arrays {
		row += ", target_raid_config = '" + oneArray + "'"
	}
	return row, nil
}

// done tells that the flow has come to its end. A cleaning ends where it began.
func (f crashFlow) done(n crashRow, m *room.Machine) bool {
	return n.state == f.target && n.reservation == "" && (f.from != f.target || m.Snapshot().Begun[f.step] > 0)
}

// oneArray is what the only disk of a machine of the room is good for.
const oneArray = `{"logical_disks": [{"raid_level": "0", "size_gb": "MAX", "controller": "1", "physical_disks": ["1"]}]}`

// configureOrder changes a machine through its BMC, and has its agent do something that shows the end.
func configureOrder(c *crashWorld) map[string]any {
	steps := []any{
		map[string]any{"interface": "raid", "step": "create_configuration"},
		map[string]any{"interface": "bios", "step": "apply_configuration", "args": map[string]any{"settings": []any{
			map[string]any{"name": "QuietBoot", "value": false}}}},
		map[string]any{"interface": "management", "step": "update_firmware", "args": map[string]any{"firmware_images": []any{
			map[string]any{"url": "file://" + c.img.raw, "checksum": c.img.sha1, "source": "local"}}}},
	}
	if firmwareHere() {
		steps = append(steps, map[string]any{"interface": "firmware", "step": "update", "args": map[string]any{"settings": []any{
			map[string]any{"component": "bios", "url": "file://" + c.img.raw}}}})
	}
	return map[string]any{"target": "clean", "clean_steps": append(steps, map[string]any{"interface": "deploy", "step": "erase_devices"})}
}

// configureOwn are the interfaces by which a BMC changes its machine.
func configureOwn() map[string]any {
	own := map[string]any{"raid_interface": "redfish", "bios_interface": "redfish"}
	if firmwareHere() {
		own["firmware_interface"] = "redfish"
	}
	return own
}

// checkConfigured expects what was asked for, once.
func (r *crashRun) checkConfigured() error {
	got := r.machine.Snapshot()
	if !slices.Equal(got.Volumes, []string{"RAID0"}) || got.BIOS["QuietBoot"] != false {
		return fmt.Errorf("the machine has the arrays %v and the settings %v", got.Volumes, got.BIOS)
	}
	updates := 1
	if firmwareHere() {
		updates = 2
	}
	if len(got.Firmware) != updates {
		return fmt.Errorf("firmware was written from %v", got.Firmware)
	}
	return r.checkOff()
}

func (r *crashRun) checkDeployed() error {
	got := r.machine.Snapshot()
	sum, err := r.machine.DiskSHA256(r.img.size)
	switch {
	case err != nil:
		return err
	case sum != r.img.sum:
		return fmt.Errorf("the disk differs from the image")
	case got.Booted != room.BootDisk || got.Media != "":
		return fmt.Errorf("the machine runs %q (%s), with %q inserted", got.Booted, got.BootError, got.Media)
	}
	return nil
}

// ramdiskInfo is an instance that is a ramdisk.
func ramdiskInfo(c *crashWorld) map[string]any {
	return map[string]any{"kernel": c.ramdisk.Kernel, "ramdisk": c.ramdisk.Initrd}
}

// installInfo is an image that an installer writes. It comes from the worker.
func installInfo(c *crashWorld) map[string]any {
	return map[string]any{"image_source": "file://" + c.img.raw, "image_checksum": c.img.sum, "image_type": "partition", "root_gb": 1,
		"kernel": c.ramdisk.Kernel, "ramdisk": c.ramdisk.Initrd, "stage2": c.ramdisk.Initrd}
}

// customOrder is a deployment that a user's step makes up. It writes nothing, so that the machine ends with an empty disk.
var customOrder = map[string]any{"target": "active", "deploy_steps": []any{
	map[string]any{"interface": "deploy", "step": "erase_devices_metadata", "args": map[string]any{}, "priority": 70}}}

// checkRamdisk expects a machine that runs its instance. One that looked for its ISO while nobody served it is started anew, as its
// user would do: then the ISO must be there.
func (r *crashRun) checkRamdisk() error {
	got := r.machine.Snapshot()
	if got.Booted == room.BootFailed {
		ctx, cancel := context.WithTimeout(context.Background(), crashLimit)
		defer cancel()
		if err := resetMachine(ctx, r.machine.Info(), "ForceRestart"); err != nil {
			return err
		}
	}
	if got.Booted != room.BootRamdisk || got.Media == "" {
		return fmt.Errorf("the machine runs %q (%s), with %q inserted", got.Booted, got.BootError, got.Media)
	}
	return nil
}

// checkBlank expects a machine that was started from its disk, which has nothing to boot.
func (r *crashRun) checkBlank() error {
	if got := r.machine.Snapshot(); got.Booted != room.BootFailed || got.Media != "" {
		return fmt.Errorf("the machine runs %q (%s), with %q inserted", got.Booted, got.BootError, got.Media)
	}
	return nil
}

// checkRescued expects a machine that runs a ramdisk which the password opens.
func (r *crashRun) checkRescued() error {
	got := r.machine.Snapshot()
	if got.Booted != room.BootAgent {
		return fmt.Errorf("the machine runs %q (%s), with %q inserted", got.Booted, got.BootError, got.Media)
	}
	digest, err := shacrypt.Decode(got.RescuePassword)
	if err != nil {
		return fmt.Errorf("reading the hash of the rescue's password: %w", err)
	}
	if !digest.Match(rescuePassword) {
		return errors.New("the ramdisk has another password")
	}
	return nil
}

// checkOverISCSI compares all but the partition table, which has one partition more.
func (r *crashRun) checkOverISCSI() error {
	same, err := holds(r.machine.Info().Disk, r.img.raw, tableEnd)
	switch got := r.machine.Snapshot(); {
	case err != nil:
		return err
	case !same:
		return fmt.Errorf("the disk differs from the image")
	case got.Booted != room.BootDisk || got.Media != "":
		return fmt.Errorf("the machine runs %q (%s), with %q inserted", got.Booted, got.BootError, got.Media)
	}
	return nil
}

func (r *crashRun) checkOff() error {
	if got := r.machine.Snapshot(); got.Powered || got.Media != "" {
		return fmt.Errorf("the machine has power: %v, inserted is %q", got.Powered, got.Media)
	}
	return nil
}
