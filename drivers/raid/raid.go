// Package raid holds what all RAID interfaces have in common: the schema of RAID configurations, and what a node's row says of the
// arrays that were made (ironic/common/raid.py, ironic/drivers/raid_config_schema.json).
package raid

import (
	_ "embed"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/jsonschema"
	"github.com/ironmaster/ironmaster/store"
)

//go:embed schema.json
var schemaText []byte

// Schema checks RAID configurations.
type Schema struct{ whole, disk *jsonschema.Schema }

// NewSchema returns the schema of RAID configurations that ironic has for all interfaces.
func NewSchema() *Schema {
	whole := jsonschema.MustParse(schemaText)
	return &Schema{whole, whole.Property("logical_disks").Items()}
}

// Validate checks a configuration. Its error is InvalidParameterValue, in jsonschema's words.
func (s *Schema) Validate(config store.Dict) error {
	if fault := s.whole.Check(config); fault != nil {
		return store.Errorf(store.InvalidParameterValue, "RAID config validation error: %s", fault.Message)
	}
	_, err := rootDisk(config)
	return err
}

// LogicalDiskProperties describes what a logical disk may be given: name to description.
func (s *Schema) LogicalDiskProperties() map[string]string {
	all := map[string]string{}
	for _, p := range s.disk.Properties() {
		all[p.Name] = p.Schema.Description
	}
	return all
}

// Disks are the logical disks of a configuration.
func Disks(config store.Dict) []store.Dict {
	var disks []store.Dict
	for _, item := range config.List("logical_disks") {
		disks = append(disks, store.Dict{"disk": item}.Dict("disk"))
	}
	return disks
}

// rootDisk is the logical disk that the system is to be on, nil when none is named.
func rootDisk(config store.Dict) (store.Dict, error) {
	var roots []store.Dict
	for _, disk := range Disks(config) {
		if disk.Bool("is_root_volume", false) {
			roots = append(roots, disk)
		}
	}
	switch len(roots) {
	case 0:
		return nil, nil
	case 1:
		return roots[0], nil
	}
	return nil, store.Errorf(store.InvalidParameterValue,
		"Raid config cannot have more than one root volume. %d root volumes were specified", len(roots))
}

// Record writes into the node which arrays it has now: raid_config, and for the root volume properties local_gb, root_device and the
// capability raid_level, which schedulers and deployments go by. The caller saves the node; after an error it is as before.
func Record(n *store.Node, config store.Dict, now time.Time) error {
	root, err := rootDisk(config)
	if err != nil {
		return err
	}
	if root != nil {
		if err := checkCapabilities(n.Properties.String("capabilities")); err != nil {
			return err
		}
	}
	current := config.Clone()
	current["last_updated"] = now.UTC().Format("2006-01-02 15:04:05.000000")
	n.RAIDConfig = current
	if root == nil {
		return nil
	}
	properties := n.Properties.Clone()
	if root["size_gb"] != "MAX" {
		properties["local_gb"] = root["size_gb"]
	}
	if hint, given := root["root_device_hint"]; given {
		properties["root_device"] = hint
	}
	properties["capabilities"] = drivers.WithCapability(n, "raid_level", root.String("raid_level"))
	n.Properties = properties
	return nil
}

// checkCapabilities refuses a text of capabilities one of which has no value.
func checkCapabilities(text string) error {
	if text == "" {
		return nil
	}
	for item := range strings.SplitSeq(text, ",") {
		if !strings.Contains(item, ":") {
			return store.Errorf(store.InvalidParameterValue, "Invalid capabilities string '%s'.", text)
		}
	}
	return nil
}

// Filter returns the node's target configuration without the root volume or without the others, as a step's arguments ask for. Its
// error is MissingParameterValue when nothing is left.
func Filter(n *store.Node, root, others bool) (store.Dict, error) {
	if len(n.TargetRAIDConfig) == 0 {
		return nil, store.Errorf(store.MissingParameterValue, "Node %s has no target RAID configuration.", n.UUID)
	}
	var kept []any
	var skipped []string
	for _, disk := range Disks(n.TargetRAIDConfig) {
		if isRoot := disk.Bool("is_root_volume", false); isRoot && root || !isRoot && others {
			kept = append(kept, map[string]any(disk))
		}
	}
	if !root {
		skipped = append(skipped, "skipping root volume")
	}
	if !others {
		skipped = append(skipped, "skipping non-root volumes")
	}
	if len(kept) == 0 {
		return nil, store.Errorf(store.MissingParameterValue, "Node %s has empty target RAID configuration after %s.", n.UUID,
			strings.Join(skipped, " and "))
	}
	target := n.TargetRAIDConfig.Clone()
	target["logical_disks"] = kept
	return target, nil
}

// ValidateTarget checks the configuration that a node is to get, if there is one, as an interface has it checked.
func ValidateTarget(n *store.Node, check func(store.Dict) error) error {
	if len(n.TargetRAIDConfig) == 0 {
		return nil
	}
	return check(n.TargetRAIDConfig)
}

// ApplyArgs are the arguments of the deploy step apply_configuration.
func ApplyArgs() map[string]drivers.StepArg {
	return map[string]drivers.StepArg{
		"raid_config": {Description: "The RAID configuration to apply.", Required: true},
		"create_root_volume": {Description: "Setting this to 'False' indicates not to create root volume that is specified in " +
			"'raid_config'. Default value is 'True'."},
		"create_nonroot_volumes": {Description: "Setting this to 'False' indicates not to create non-root volumes (all except the " +
			"root volume) in 'raid_config'. Default value is 'True'."},
		"delete_existing": {Description: "Setting this to 'True' indicates to delete existing RAID configuration prior to creating " +
			"the new configuration. Default value is 'True'."},
	}
}
