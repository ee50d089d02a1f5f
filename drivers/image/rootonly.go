package image

import (
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// ValidateRootOnly refuses a whole-disk image for a flavor that asks for more than a root disk: the image brings its own
// partition table, so nothing could be given to swap or an ephemeral partition. kind is the decision for the instance; an
// empty kind counts as a partition, as ironic's validation reads a missing is_whole_disk_image.
//
// ironic's own check has been dead since Wallaby; [ironmaster]whole_disk_root_only false restores that.
func (s *Service) ValidateRootOnly(kind Kind, instance store.Dict) error {
	if !s.cfg.WholeDiskRootOnly || kind != WholeDisk {
		return nil
	}
	var set []string
	for _, field := range []string{"swap_mb", "ephemeral_gb"} {
		n, present, err := instance.Int(field)
		if err != nil {
			return store.Errorf(store.InvalidParameterValue, "Invalid parameter %s: %w", "instance_info."+field, err)
		}
		if present && n > 0 {
			set = append(set, "instance_info."+field)
		}
	}
	if len(set) == 0 {
		return nil
	}
	return store.Errorf(store.InvalidParameterValue,
		"Cannot deploy whole disk image with swap or ephemeral size set: %s must be 0 or absent.", strings.Join(set, " and "))
}
