package agent

import (
	"maps"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

const glanceImage = "5fd4f3f2-0f3a-4c5a-9d0e-3a1d7a1f0c11"

func TestAutodetectChooses(t *testing.T) {
	for name, c := range map[string]struct {
		instance, properties store.Dict
		glance               error
		want                 string
	}{
		"a disk":                  {store.Dict{"image_source": "http://images/disk"}, nil, nil, "direct"},
		"a kernel without a mark": {store.Dict{"kernel": "k", "ramdisk": "r"}, nil, nil, "direct"},
		"a kernel with a mark":    {store.Dict{"kernel": "k", "ramdisk": "r", "ironic_ramdisk_deploy": "True"}, nil, nil, "ramdisk"},
		"half a kernel":           {store.Dict{"kernel": "k", "ironic_ramdisk_deploy": true}, nil, nil, "direct"},
		"an ISO":                  {store.Dict{"boot_iso": "i", "ironic_ramdisk_deploy": true}, nil, nil, "ramdisk"},
		"a Glance disk":           {store.Dict{"image_source": glanceImage}, store.Dict{"kernel_id": "k", "ramdisk_id": "r"}, nil, "direct"},
		"a Glance ramdisk":        {store.Dict{"image_source": glanceImage}, store.Dict{"kernel_id": "k", "ramdisk_id": "r", "ironic_ramdisk_deploy": "true"}, nil, "ramdisk"},
		"a Glance ISO":            {store.Dict{"image_source": glanceImage}, store.Dict{"boot_iso_id": "i", "ironic_ramdisk_deploy": "true"}, nil, "ramdisk"},
		"a Glance that is away":   {store.Dict{"image_source": glanceImage}, nil, store.Errorf(store.GlanceConnectionFailed, "x"), "direct"},
		"an image in a registry":  {store.Dict{"image_source": "oci://registry/image"}, nil, nil, "direct"},
		"nothing at all":          {store.Dict{}, nil, nil, "direct"},
	} {
		n := deployNode()
		n.InstanceInfo = c.instance
		g := newRig(t, quick(), n)
		g.images.meta, g.images.err = image.Metadata{Properties: c.properties}, c.glance
		a := NewAutodetect(g.deploy, []Choice{{"ramdisk", NewRamdisk(g.deploy, true)}, {"bootc", NewBootc(g.deploy)}, {"direct", g.deploy}})
		if got := a.Choose(t.Context(), g.task); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAutodetectDoesNothingItself(t *testing.T) {
	g := newRig(t, quick(), deployNode())
	a := NewAutodetect(g.deploy, []Choice{{"direct", g.deploy}})
	if err := a.Validate(t.Context(), g.task); err != nil {
		t.Errorf("validated by direct: %v", err)
	}
	delete(g.task.Node.InstanceInfo, "image_source")
	if err := a.Validate(t.Context(), g.task); store.KindOf(err) != store.MissingParameterValue {
		t.Errorf("validated by direct, without an image: %v", err)
	}
	if err := a.Prepare(t.Context(), g.task); store.KindOf(err) != store.InstanceDeployFailure {
		t.Errorf("prepared: %v", err)
	}
	if outcome, err := a.PrepareCleaning(t.Context(), g.task); err != nil || outcome != drivers.Done || len(g.calls)+len(g.worker.power) != 0 {
		t.Errorf("cleaning: %v, %v, boot %v, power %v", outcome, err, g.calls, g.worker.power)
	}
}

func TestARamdiskFromAGlanceImage(t *testing.T) {
	for name, c := range map[string]struct {
		properties store.Dict
		instance   store.Dict
		want       store.Dict
	}{
		"kernel":  {store.Dict{"kernel_id": "k", "ramdisk_id": "r"}, nil, store.Dict{"kernel": "k", "ramdisk": "r", "original_image_source": glanceImage}},
		"ISO":     {store.Dict{"boot_iso_id": "i"}, nil, store.Dict{"boot_iso": "i", "original_image_source": glanceImage}},
		"nothing": {store.Dict{}, nil, store.Dict{"image_source": glanceImage, "image_type": "partition"}},
		"named by the user": {store.Dict{"boot_iso_id": "i"}, store.Dict{"kernel": "own"},
			store.Dict{"image_source": glanceImage, "image_type": "partition", "kernel": "own"}},
	} {
		g, _, _ := ramdiskRig(t)
		n := g.task.Node
		n.InstanceInfo = store.Dict{"image_source": glanceImage, "image_type": "partition"}
		maps.Copy(n.InstanceInfo, c.instance)
		g.images.meta = image.Metadata{Properties: c.properties}
		if err := NewRamdisk(g.deploy, true).Prepare(t.Context(), g.task); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !maps.Equal(n.InstanceInfo, c.want) {
			t.Errorf("%s: instance_info %v", name, n.InstanceInfo)
		}
	}
}

func TestBootc(t *testing.T) {
	n := deployNode()
	n.InstanceInfo = store.Dict{"image_source": "oci://registry/image:1", "image_pull_secret": "secret"}
	g := newRig(t, quick(), n)
	b := NewBootc(g.deploy)
	want := []string{"deploy", "execute_bootc_install", "set_boot_to_disk", "tear_down_agent", "switch_to_tenant_network", "boot_instance"}
	if got := stepNames(b); !slices.Equal(got, want) {
		t.Errorf("steps %v", got)
	}
	if err := b.Validate(t.Context(), g.task); err != nil {
		t.Error(err)
	}
	if got := pullSecret(n); got != "c2VjcmV0" {
		t.Errorf("the agent gets the secret %q", got)
	}
	if err := runStep(t, g, b, "set_boot_to_disk"); err != nil || g.management.device != store.BootDeviceDisk || !g.management.persistent {
		t.Errorf("%v, boot device %s", err, g.management.device)
	}
	n.InstanceInfo["image_source"] = "http://images/disk"
	if err := b.Validate(t.Context(), g.task); store.KindOf(err) != store.InvalidImageRef || err.Error() != "Invalid image href http://images/disk." {
		t.Errorf("got %v", err)
	}
}
