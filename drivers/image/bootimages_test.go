package image

import (
	"context"
	"maps"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// shelf has the metadata of one image.
type shelf struct {
	properties store.Dict
	err        error
}

func (s shelf) Show(context.Context, Ref) (Metadata, error) {
	return Metadata{Properties: s.properties}, s.err
}

const shelved = "00000000-0000-0000-0000-000000000001"

func TestValidateBoot(t *testing.T) {
	absent := func(names string) string {
		return "Cannot validate image information for node n because one or more parameters are missing from its instance_info and " +
			"insufficient information is present to boot from a remote volume. Missing are: [" + names + "]"
	}
	both := "An 'image_source' and 'boot_iso' parameter may not be specified at the same time."
	for _, c := range []struct {
		name             string
		installer, whole bool
		fromImage        bool
		instance         store.Dict
		internal         store.Dict
		image            shelf
		kind             store.Kind
		text             string
	}{
		{name: "ramdisk", instance: store.Dict{"kernel": "http://k", "ramdisk": "http://r"}},
		{name: "ramdisk without anything", kind: store.MissingParameterValue, text: absent("'kernel', 'ramdisk'")},
		{name: "ramdisk without its half", instance: store.Dict{"kernel": "http://k"}, kind: store.MissingParameterValue,
			text: absent("'ramdisk'")},
		{name: "ramdisk of an image", instance: store.Dict{"image_source": shelved}, kind: store.MissingParameterValue,
			text: absent("'kernel', 'ramdisk'")},
		{name: "ramdisk that an image names", fromImage: true, instance: store.Dict{"image_source": shelved},
			image: shelf{properties: store.Dict{"kernel_id": "k", "ramdisk_id": "r"}}},
		{name: "ISO that an image names", fromImage: true, instance: store.Dict{"image_source": shelved},
			image: shelf{properties: store.Dict{"boot_iso_id": "i"}}},
		{name: "ramdisk that an image does not name", fromImage: true, instance: store.Dict{"image_source": shelved},
			kind: store.MissingParameterValue, text: "Image " + shelved + " is missing the following properties: kernel_id, ramdisk_id"},
		{name: "ramdisk without anything, later", fromImage: true, kind: store.MissingParameterValue, text: absent("'kernel', 'ramdisk'")},
		{name: "ISO", instance: store.Dict{"boot_iso": "http://iso"}},
		{name: "ISO from nowhere", instance: store.Dict{"boot_iso": "ftp://iso"}, kind: store.InvalidParameterValue,
			text: "Validation of image href ftp://iso failed, reason: Image download protocol ftp is not supported."},
		{name: "ISO and image", instance: store.Dict{"boot_iso": "http://iso", "image_source": shelved},
			kind: store.InvalidParameterValue, text: both},
		{name: "virtual media ask for the image too", whole: true, kind: store.MissingParameterValue,
			instance: store.Dict{"kernel": "http://k", "ramdisk": "http://r", "image_source": shelved},
			image:    shelf{properties: store.Dict{"kernel_id": "k"}},
			text:     "Image " + shelved + " is missing the following properties: ramdisk_id"},
		{name: "installer", installer: true, instance: store.Dict{"image_source": shelved},
			image: shelf{properties: store.Dict{"kernel_id": "k", "ramdisk_id": "r", "stage2_id": "s"}}},
		{name: "installer without second stage", installer: true, instance: store.Dict{"image_source": shelved},
			image: shelf{properties: store.Dict{"kernel_id": "k", "ramdisk_id": "r"}}, kind: store.MissingParameterValue,
			text: "Image " + shelved + " is missing the following properties: stage2_id"},
		{name: "installer without image", installer: true, kind: store.MissingParameterValue,
			text: absent("'image_source', 'kernel', 'ramdisk'")},
		{name: "installer of a whole disk", installer: true, instance: store.Dict{"image_source": "http://disk"},
			internal: store.Dict{"is_whole_disk_image": true}},
		{name: "installer of a tree", installer: true, internal: store.Dict{"is_source_a_path": true},
			instance: store.Dict{"image_source": "http://tree/", "kernel": "http://k", "ramdisk": "http://r"}},
		{name: "image gone", installer: true, instance: store.Dict{"image_source": shelved}, kind: store.InvalidParameterValue,
			image: shelf{err: store.Errorf(store.ImageNotFound, "gone")}, text: "Image " + shelved + " can not be found."},
		{name: "Glance away", installer: true, instance: store.Dict{"image_source": shelved}, kind: store.InvalidParameterValue,
			image: shelf{err: store.Errorf(store.GlanceConnectionFailed, "away")},
			text:  "Failed to connect to Glance to get the properties of the image " + shelved},
	} {
		n := &store.Node{UUID: "n", InstanceInfo: store.Dict{}, DriverInternalInfo: store.Dict{}}
		maps.Copy(n.InstanceInfo, c.instance)
		maps.Copy(n.DriverInternalInfo, c.internal)
		err := Sources{AtOnce: c.image, RamdiskFromImage: c.fromImage}.ValidateBoot(t.Context(), BootWish{Node: n, Installer: c.installer, Whole: c.whole})
		if store.KindOf(err) != c.kind || err != nil && err.Error() != c.text {
			t.Errorf("%s: %v, want %s", c.name, err, c.text)
		}
	}
}

func TestBootImages(t *testing.T) {
	of := shelf{properties: store.Dict{"kernel_id": "k-id", "ramdisk_id": "r-id"}}
	for _, c := range []struct {
		name     string
		instance store.Dict
		image    shelf
		want     BootImages
		kind     store.Kind
	}{
		{"ISO", store.Dict{"boot_iso": "i"}, of, BootImages{ISO: "i"}, ""},
		{"named", store.Dict{"kernel": "k", "ramdisk": "r", "image_source": shelved}, of, BootImages{Kernel: "k", Ramdisk: "r"}, ""},
		{"half named", store.Dict{"kernel": "k", "image_source": shelved}, of, BootImages{Kernel: "k-id", Ramdisk: "r-id"}, ""},
		{"none", store.Dict{"image_source": shelved}, shelf{}, BootImages{}, store.ImageUnacceptable},
		{"no Glance image", store.Dict{"image_source": "http://disk"}, of, BootImages{}, store.ImageUnacceptable},
		{"gone", store.Dict{"image_source": shelved}, shelf{err: store.Errorf(store.ImageNotFound, "x")}, BootImages{}, store.ImageNotFound},
	} {
		got, err := Sources{Patiently: c.image}.BootImages(t.Context(), BootWish{Node: &store.Node{InstanceInfo: c.instance}})
		if got != c.want || store.KindOf(err) != c.kind {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}
