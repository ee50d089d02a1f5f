package main

import (
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/conductor/config"
)

// An operator who empties [pxe]instance_master_path wants no image kept that no node needs.
func TestImagesWithoutACache(t *testing.T) {
	s := &config.Settings{}
	s.PXE.ImagesPath, s.PXE.ImageCacheSize = "/var/lib/ironic/images", 20480
	cache := imageConfig(s).Cache
	if cache.MasterDir != "/var/lib/ironic/images/master_images" || cache.Size != 0 || cache.TTL != 0 {
		t.Errorf("without a folder: %+v", cache)
	}
	isMaster := func(d namedDir) bool { return d.option == "[pxe]instance_master_path" }
	if slices.ContainsFunc(conductorDirs(s), isMaster) {
		t.Error("a folder that there is none of is checked")
	}
	s.PXE.InstanceMasterPath = "/srv/masters"
	if cache = imageConfig(s).Cache; cache.MasterDir != "/srv/masters" || cache.Size == 0 {
		t.Errorf("with a folder: %+v", cache)
	}
	if !slices.ContainsFunc(conductorDirs(s), isMaster) {
		t.Error("the folder is not checked")
	}
}
