package agent

import (
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// The texts are ironic's, where ironic has one.
func TestValidate(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*store.Node)
		kind   store.Kind
		text   string
	}{
		"fine": {func(*store.Node) {}, "", ""},
		"no image": {func(n *store.Node) { delete(n.InstanceInfo, "image_source") }, store.MissingParameterValue,
			"Node n1 failed to validate deploy image info. Some parameters were missing. Missing are: ['instance_info.image_source']"},
		"image type": {func(n *store.Node) { n.InstanceInfo["image_type"] = "disk" }, store.InvalidParameterValue,
			`Invalid image_type "disk", valid are partition, whole-disk`},
		"no checksum": {func(n *store.Node) { delete(n.InstanceInfo, "image_os_hash_value") }, store.MissingParameterValue,
			`image_source's "image_checksum", or "image_os_hash_algo" and "image_os_hash_value" must be provided in instance_info for node n1`},
		"download source": {func(n *store.Node) { n.DriverInfo["image_download_source"] = "ftp" }, store.InvalidParameterValue,
			`Invalid value for image_download_source: "ftp". Valid values are swift, http or local.`},
		"swift": {func(n *store.Node) {
			n.InstanceInfo["image_source"], n.InstanceInfo["image_download_source"] = "5fd4f3f2-0f3a-4c5a-9d0e-3a1d7a1f0c11", "swift"
		}, store.InvalidParameterValue, "temporary URLs of Swift"},
		"proxy": {func(n *store.Node) { n.DriverInfo["image_http_proxy"] = "spam://eggs" }, store.InvalidParameterValue,
			"Proxy URL should either have HTTP(S) scheme or no scheme at all, the following URLs are invalid: {'image_http_proxy': 'spam://eggs'}."},
		"no_proxy": {func(n *store.Node) { n.DriverInfo["image_no_proxy"] = ".eggs,.*" }, store.InvalidParameterValue,
			"image_no_proxy should be a list of host names, IP addresses or domain names to exclude from proxying, the specified list .eggs,.* is incorrect."},
		"swap": {func(n *store.Node) { n.InstanceInfo["swap_mb"] = "1024" }, store.InvalidParameterValue,
			"Cannot deploy whole disk image with swap or ephemeral size set"},
		"capability": {func(n *store.Node) { n.Properties["capabilities"] = "boot_mode:floppy" }, store.InvalidParameterValue,
			"The parameter 'boot_mode' from properties/capabilities has an invalid value: 'floppy'. Acceptable values are: bios, uefi."},
		"instance capability": {func(n *store.Node) { n.InstanceInfo["capabilities"] = `{"secure_boot": "maybe"}` }, store.InvalidParameterValue,
			"The parameter 'secure_boot' from instance_info['capabilities'] has an invalid value: 'maybe'. Acceptable values are: true, false."},
		"capabilities text": {func(n *store.Node) { n.InstanceInfo["capabilities"] = "boot_mode:uefi" }, store.InvalidParameterValue,
			`Error parsing capabilities from Node n1 instance_info field. A dictionary or a "jsonified" dictionary is expected.`},
		"root device": {func(n *store.Node) { n.Properties["root_device"] = map[string]any{"colour": "red"} }, store.InvalidParameterValue,
			`The hints "colour" are invalid. Valid hints are: "size, model, wwn, serial, vendor, wwn_with_extension, wwn_vendor_extension, name, rotational, hctl, by_path"`},
		"root device size": {func(n *store.Node) { n.InstanceInfo["root_device"] = map[string]any{"size": ">= x"} }, store.InvalidParameterValue,
			`Root device hint "size" is not an integer value.`},
		"root device rotational": {func(n *store.Node) { n.InstanceInfo["root_device"] = map[string]any{"rotational": "perhaps"} }, store.InvalidParameterValue,
			`Root device hint "rotational" is not a Boolean value.`},
		"good hints": {func(n *store.Node) {
			n.InstanceInfo["root_device"] = map[string]any{"size": ">= 10", "rotational": "false", "name": "s== /dev/sda"}
		}, "", ""},
		"partition without root": {func(n *store.Node) { asPartition(n); delete(n.InstanceInfo, "root_gb") }, store.MissingParameterValue,
			"Some parameters were missing in node's instance_info. Missing are: ['root_gb']"},
		"partition with swap": {func(n *store.Node) { asPartition(n); n.InstanceInfo["swap_mb"] = 1024 }, "", ""},
		"negative swap": {func(n *store.Node) { asPartition(n); n.InstanceInfo["swap_mb"] = -1 }, store.InvalidParameterValue,
			"Invalid parameter swap_mb: -1 is negative."},
		"too many for an MBR": {func(n *store.Node) {
			asPartition(n)
			n.InstanceInfo["swap_mb"], n.InstanceInfo["ephemeral_gb"] = 1, 3000
			n.InstanceInfo["capabilities"] = map[string]any{"disk_label": "msdos"}
		}, store.InvalidParameterValue, "The disk label msdos ends at 2 TiB"},
		"kind not known yet": {func(n *store.Node) { n.DriverInternalInfo = nil; n.InstanceInfo["swap_mb"] = 1 }, "", ""},
		"boot_option":        {func(n *store.Node) { n.InstanceInfo["capabilities"] = map[string]any{"boot_option": "netboot"} }, "", ""},
		"scheme":             {func(n *store.Node) { n.InstanceInfo["image_source"] = "ftp://x/y" }, store.InvalidParameterValue, "ftp"},
	} {
		n := deployNode()
		c.change(n)
		g := newRig(t, quick(), n)
		err := g.deploy.Validate(t.Context(), g.task)
		if c.kind == "" && err != nil || c.kind != "" && (store.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: %v, want %s %s", name, err, c.kind, c.text)
		}
	}
}

// asPartition makes a node's image a partition's.
func asPartition(n *store.Node) {
	n.DriverInternalInfo["is_whole_disk_image"] = false
	n.InstanceInfo["root_gb"] = 10
}
