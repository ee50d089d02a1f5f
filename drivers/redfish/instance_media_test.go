package redfish_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// stick adds a virtual drive for USB sticks to a BMC.
func (b *bmc) stick() object {
	at := "/redfish/v1/Managers/m/VirtualMedia/Usb"
	b.media[at] = object{"@odata.id": at, "Id": "Usb", "MediaTypes": []any{"USBStick"}, "Inserted": false, "Image": nil,
		"Actions": object{"#VirtualMedia.InsertMedia": object{"target": at + "/Actions/VirtualMedia.InsertMedia"},
			"#VirtualMedia.EjectMedia": object{"target": at + "/Actions/VirtualMedia.EjectMedia"}}}
	return b.media[at]
}

// noImages has no image at all.
type noImages struct{}

func (noImages) Show(_ context.Context, ref image.Ref) (image.Metadata, error) {
	return image.Metadata{}, store.Errorf(store.ImageNotFound, "%s", ref.Href)
}

// instance returns a task of a deployment of a ramdisk by virtual media.
func instance(t *testing.T, b *bmc, info store.Dict) (*drivers.Task, *worker, *publisher) {
	t.Helper()
	cfg := mediaConfig()
	cfg.Sources = image.Sources{AtOnce: noImages{}, Patiently: noImages{}}
	x, w, p := vmedia(t, b, cfg)
	x.Hardware.Storage = noop.NewStorage()
	x.Node.DeployInterface, x.Node.InstanceInfo = "ramdisk", info
	return x, w, p
}

func packed(content string) string {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, _ = z.Write([]byte(content))
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(out.Bytes())
}

func TestAnInstanceFromVirtualMedia(t *testing.T) {
	b := newBMC(t)
	disc, usb := b.cd(true, "CD"), b.stick()
	x, _, p := instance(t, b, store.Dict{"kernel": "own-kernel", "ramdisk": "own-ramdisk", "ramdisk_kernel_arguments": "role=db",
		"configdrive": packed("drive")})
	boot := x.Hardware.Boot.(interface {
		drivers.Boot
		ResumeInstance(context.Context, *drivers.Task) error
	})
	if err := boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	text := p.text(t, "node-1")
	if !strings.Contains(text, "linux /vmlinuz root=/dev/ram0 text role=db --\n") || !strings.Contains(text, "own-kernel") {
		t.Errorf("the ISO is %.200q", text)
	}
	if disc["Image"] != p.url+"/node-1/boot.iso" || usb["Image"] != p.url+"/node-1/drive-1.img" || !slices.Equal(p.drives, []string{"drive"}) {
		t.Errorf("CD %v, stick %v, drives %q", disc, usb, p.drives)
	}
	if sent := b.changes(); !slices.ContainsFunc(sent, func(s string) bool { return strings.Contains(s, `"Continuous"`) && strings.Contains(s, `"Cd"`) }) {
		t.Errorf("sent %q", sent)
	}

	// Another process of the worker serves both under the same addresses, and asks the BMC nothing.
	again, _, q := instance(t, b, x.Node.InstanceInfo)
	again.Worker, again.Node.ProvisionState = x.Worker, store.Active
	if err := again.Hardware.Boot.(interface {
		ResumeInstance(context.Context, *drivers.Task) error
	}).ResumeInstance(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(q.secrets, p.secrets) || len(q.drives) != 1 || len(b.changes()) != 0 {
		t.Errorf("served again: ISO %q for %q, drives %q", q.secrets, p.secrets, q.drives)
	}

	if err := boot.CleanUpInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if disc["Image"] != nil || usb["Image"] != nil || len(p.isos) != 0 || p.drives[len(p.drives)-1] != "withdrawn" {
		t.Errorf("after cleaning up: CD %v, stick %v, %d ISOs, drives %q", disc, usb, len(p.isos), p.drives)
	}
}

func TestAnInstanceWithAnISOOfItsOwn(t *testing.T) {
	b := newBMC(t)
	disc := b.cd(true, "CD")
	x, _, p := instance(t, b, store.Dict{"boot_iso": "http://images/live.iso", "ramdisk_image_download_source": "http"})
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if disc["Image"] != "http://images/live.iso" || p.count != 0 {
		t.Errorf("inserted %v, published %d", disc["Image"], p.count)
	}
	b.changes()
	// Taken over while it runs: the ISO stays where it is.
	x.Node.ProvisionState = store.Active
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	for _, sent := range b.changes() {
		if strings.Contains(sent, "VirtualMedia") {
			t.Errorf("sent %s", sent)
		}
	}
	delete(x.Node.InstanceInfo, "ramdisk_image_download_source")
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); err != nil {
		t.Fatal(err)
	}
	if got := p.text(t, "node-1"); !strings.HasPrefix(got, "http://images/live.iso") {
		t.Errorf("published %.40q", got)
	}
}

func TestAnInstanceWhoseConfigDriveHasNoPlace(t *testing.T) {
	b := newBMC(t)
	b.cd(true, "CD")
	x, _, _ := instance(t, b, store.Dict{"boot_iso": "http://images/live.iso", "configdrive": packed("drive")})
	err := x.Hardware.Boot.PrepareInstance(t.Context(), x)
	want := "Cannot attach configdrive for node node-1: no suitable virtual USB slot has been found"
	if store.KindOf(err) != store.InstanceDeployFailure || err.Error() != want {
		t.Errorf("got %v", err)
	}
	x.Node.InstanceInfo["configdrive"] = "no base64!"
	if err := x.Hardware.Boot.PrepareInstance(t.Context(), x); store.KindOf(err) != store.InvalidParameterValue ||
		strings.Contains(err.Error(), "no base64!") {
		t.Errorf("a config drive that is none: %v", err)
	}
}

func TestARamdiskByVirtualMediaIsValidated(t *testing.T) {
	b := newBMC(t)
	for name, c := range map[string]struct {
		info    store.Dict
		cleaned bool
		kind    store.Kind
	}{
		"kernel and ramdisk":   {store.Dict{"kernel": "http://k", "ramdisk": "http://r"}, false, ""},
		"nothing":              {store.Dict{}, false, store.MissingParameterValue},
		"cleaned by an agent":  {store.Dict{"boot_iso": "http://i"}, true, store.MissingParameterValue},
		"never cleaned":        {store.Dict{"boot_iso": "http://i"}, false, ""},
		"ISO and an image too": {store.Dict{"boot_iso": "http://i", "image_source": "http://d"}, false, store.InvalidParameterValue},
	} {
		x, _, _ := instance(t, b, c.info)
		x.Node.DriverInfo = store.Dict{"redfish_address": b.url}
		x.AutomatedClean = c.cleaned
		if err := x.Hardware.Boot.Validate(t.Context(), x); store.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}
