package partition

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Request is the layout that an instance asks for in instance_info.
type Request struct {
	RootGB, SwapMB, EphemeralGB int64
	// EphemeralFormat is empty when nobody says.
	EphemeralFormat string
	// PreserveEphemeral keeps what the ephemeral partition of the last deployment holds.
	PreserveEphemeral bool
}

// mbPerGB is how many MiB ironic takes for a GB.
const mbPerGB = 1024

// ParseRequest reads what instance_info says. Errors are MissingParameterValue without a root_gb and InvalidParameterValue
// for values that cannot be, in ironic's words where it has some.
func ParseRequest(info store.Dict) (Request, error) {
	root, _, err := info.Int("root_gb")
	if info.String("root_gb") == "" || err == nil && root == 0 {
		return Request{}, store.Errorf(store.MissingParameterValue,
			"Some parameters were missing in node's instance_info. Missing are: ['root_gb']")
	}
	preserve, err := parsePreserve(info)
	if err != nil {
		return Request{}, err
	}
	r := Request{EphemeralFormat: info.String("ephemeral_format"), PreserveEphemeral: preserve}
	for _, field := range r.sizes() {
		if *field.size, err = parseSize(info, field); err != nil {
			return Request{}, err
		}
	}
	if r.EphemeralFormat != "" && !FileSystem(r.EphemeralFormat).Plausible() {
		return Request{}, invalid("ephemeral_format", "%q is not the name of a file system.", r.EphemeralFormat)
	}
	return r, nil
}

// size is one of the sizes in instance_info.
type size struct {
	key  string
	size *int64
	// unit is its unit in MiB.
	unit int64
}

func (r *Request) sizes() []size {
	return []size{{"root_gb", &r.RootGB, mbPerGB}, {"swap_mb", &r.SwapMB, 1}, {"ephemeral_gb", &r.EphemeralGB, mbPerGB}}
}

func invalid(key, format string, args ...any) error {
	return store.Errorf(store.InvalidParameterValue, "Invalid parameter %s: %s", key, fmt.Sprintf(format, args...))
}

func parseSize(info store.Dict, s size) (int64, error) {
	n, _, err := info.Int(s.key)
	switch {
	case err != nil:
		return 0, invalid(s.key, "%v is not an integer value.", info[s.key])
	case n < 0:
		return 0, invalid(s.key, "%d is negative.", n)
	case n > math.MaxInt64/MiB/s.unit:
		return 0, invalid(s.key, "%d is more than a disk can have.", n)
	}
	return n, nil
}

func parsePreserve(info store.Dict) (bool, error) {
	text := cmp.Or(info.String("preserve_ephemeral"), "False")
	d := store.Dict{"preserve": text}
	on := d.Bool("preserve", false)
	if on != d.Bool("preserve", true) {
		return false, invalid("preserve_ephemeral", "Unrecognized value '%s', acceptable values are: "+
			"'0', '1', 'f', 'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'", text)
	}
	return on, nil
}

// Record writes the request into instance_info as ironic keeps it there for the agent. format is what an ephemeral
// partition gets when nobody says ([pxe]default_ephemeral_format).
func (r Request) Record(info store.Dict, format string) {
	for _, key := range []string{"root_gb", "swap_mb", "ephemeral_gb"} {
		if info[key] == nil {
			info[key] = 0
		}
	}
	info["preserve_ephemeral"] = r.PreserveEphemeral
	info["root_mb"], info["swap_mb"], info["ephemeral_mb"] = mbPerGB*r.RootGB, r.SwapMB, mbPerGB*r.EphemeralGB
	for _, key := range []string{"ephemeral_format", "configdrive"} {
		if _, given := info[key]; !given {
			info[key] = nil
		}
	}
	if r.EphemeralGB != 0 && r.EphemeralFormat == "" {
		info["ephemeral_format"] = format
	}
}

// Plan lays the disk of a node out. configDrive is in MiB, and bootMode that of the deployment.
func (r Request) Plan(n *store.Node, bootMode string, configDrive int64) (Layout, error) {
	label, err := LabelOf(n, bootMode)
	if err != nil {
		return Layout{}, err
	}
	return Plan(Wish{Label: label, BootMode: bootMode, Arch: n.Properties.String("cpu_arch"), Root: mbPerGB * r.RootGB,
		Swap: r.SwapMB, Ephemeral: mbPerGB * r.EphemeralGB, ConfigDrive: configDrive})
}

// LabelOf is the partition table that an instance asks for with the capability disk_label; it is empty where the agent
// chooses.
func LabelOf(n *store.Node, bootMode string) (Label, error) {
	capabilities, err := drivers.InstanceCapabilities(n)
	if err != nil {
		return "", err
	}
	label := Label(capabilities.String("disk_label"))
	if label == "" && bootMode == store.BootModeUEFI {
		label = GPT
	}
	return label, nil
}

// keyDeployed holds the layout of the last deployment in driver_internal_info.
const keyDeployed = "instance"

// Remember writes down what was deployed, for CheckUnchanged. Only an ephemeral partition is ever kept.
func (r Request) Remember(internal store.Dict) {
	if r.EphemeralGB > 0 {
		internal[keyDeployed] = map[string]any{"root_gb": r.RootGB, "swap_mb": r.SwapMB, "ephemeral_gb": r.EphemeralGB}
	}
}

// CheckUnchanged keeps a rebuild that preserves the ephemeral partition from taking another partition for it.
func (r Request) CheckUnchanged(internal store.Dict) error {
	if !r.PreserveEphemeral {
		return nil
	}
	before := internal.Dict(keyDeployed)
	var changes strings.Builder
	for _, s := range r.sizes() {
		if old, known, err := before.Int(s.key); err == nil && known && old != *s.size {
			fmt.Fprintf(&changes, " Deployed value of %s was %d but requested value is %d.", s.key, old, *s.size)
		}
	}
	if changes.Len() == 0 {
		return nil
	}
	return store.Errorf(store.InvalidParameterValue,
		"The following parameters have different values from previous deployment:%s", changes.String())
}

// CheckImage refuses a raw image of so many bytes that is larger than the root partition.
func (r Request) CheckImage(bytes int64) error {
	if mib := (bytes + MiB - 1) / MiB; mib > mbPerGB*r.RootGB {
		return store.Errorf(store.InstanceDeployFailure, "Root partition is too small for requested image. Image virtual size: "+
			"%d MB, Root size: %d MB", mib, mbPerGB*r.RootGB)
	}
	return nil
}
