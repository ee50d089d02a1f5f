package conductor

import (
	"maps"
	"strings"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
)

// payloadFields are the node's fields in every notification about it (reference/notifications.md §4).
var payloadFields = []string{"clean_step", "conductor_group", "console_enabled", "created_at", "deploy_step", "description",
	"driver", "extra", "boot_mode", "secure_boot", "inspection_finished_at", "inspection_started_at", "instance_uuid",
	"last_error", "maintenance", "maintenance_reason", "fault", "bios_interface", "boot_interface", "console_interface",
	"deploy_interface", "inspect_interface", "management_interface", "network_interface", "power_interface",
	"raid_interface", "rescue_interface", "storage_interface", "vendor_interface", "name", "owner", "lessee", "power_state",
	"properties", "protected", "protected_reason", "provision_state", "provision_updated_at", "resource_class", "retired",
	"retired_reason", "target_power_state", "target_provision_state", "updated_at", "uuid"}

// payloadVersions are the classes' versions up to 21.4 and since disable_power_off came (27.0).
var payloadVersions = map[string][2]string{
	"NodePayload":                    {"1.16", "1.17"},
	"NodeSetPowerStatePayload":       {"1.16", "1.17"},
	"NodeCorrectedPowerStatePayload": {"1.16", "1.17"},
	"NodeSetProvisionStatePayload":   {"1.17", "1.18"},
}

// nodePayload is a notification's payload about a node. Only the provision_set one carries instance_info and
// driver_internal_info, with everything secret in them masked.
func nodePayload(class string, release messaging.Release, n *store.Node, extra map[string]any) *objects.Object {
	all := objects.Fields(n)
	data := make(map[string]any, len(payloadFields)+len(extra)+4)
	for _, name := range payloadFields {
		data[name] = all[name]
	}
	data["traits"] = append([]string{}, n.Traits...)
	data["clean_step"], data["deploy_step"] = masked(n.CleanStep), masked(n.DeployStep)
	version := payloadVersions[class][0]
	if release >= messaging.V27_0 {
		version = payloadVersions[class][1]
		data["disable_power_off"] = all["disable_power_off"]
	}
	if class == "NodeSetProvisionStatePayload" {
		info := masked(n.InstanceInfo)
		if _, ok := info["image_url"]; ok {
			info["image_url"] = maskedToken
		}
		internal := masked(n.DriverInternalInfo)
		maps.DeleteFunc(internal, func(key string, _ any) bool { return strings.HasPrefix(key, ownKeys) })
		data["instance_info"], data["driver_internal_info"] = info, internal
	}
	for k, v := range extra {
		data[k] = v
	}
	return objects.NewPayload(class, version, data)
}

// ownKeys begin the keys of driver_internal_info that are this worker's own, of which ironic's listeners know nothing.
const ownKeys = "ironmaster_"

// secretWords mark keys whose values are not shown: those of oslo.utils' mask_dict_password.
var secretWords = []string{"adminpass", "admin_pass", "password", "admin_password", "auth_token", "new_pass",
	"auth_password", "secret_uuid", "secret", "sys_pswd", "token", "configdrive", "chappassword", "encrypted_key",
	"private_key", "fernetkey", "sslkey", "passphrase", "cephclusterfsid", "octaviaheartbeatkey", "rabbitcookie",
	"cephmanilaclientkey", "pacemakerremoteauthkey", "designaterndckey", "cephadminkey", "heatauthencryptionkey",
	"cephclientkey", "keystonecredential", "barbicansimplecryptokek", "cephrgwkey", "swifthashsuffix",
	"migrationsshkey", "cephmdskey", "cephmonkey"}

// masked returns a deep copy in which the values of secret keys are stars.
func masked(d store.Dict) store.Dict {
	out := store.Dict{}
	for key, value := range d {
		out[key] = maskedValue(key, value)
	}
	return out
}

func maskedValue(key string, value any) any {
	secret := secretKey(key)
	switch v := value.(type) {
	case store.Dict:
		if !secret {
			return masked(v)
		}
	case map[string]any:
		// Ironic looks into objects under a secret key too and lets a config drive given as an object pass.
		if !secret {
			return masked(v)
		}
	}
	if secret {
		return maskedToken
	}
	if list, ok := value.([]any); ok {
		// Ironic leaves arrays alone, which hold the arguments of steps.
		out := make([]any, len(list))
		for i, item := range list {
			out[i] = maskedValue("", item)
		}
		return out
	}
	return value
}
