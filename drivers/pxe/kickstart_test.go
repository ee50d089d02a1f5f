package pxe

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// glance has one image, with these properties.
type glance store.Dict

func (g glance) Show(context.Context, image.Ref) (image.Metadata, error) {
	return image.Metadata{Properties: store.Dict(g)}, nil
}

const (
	osImage = "5fd4f3f2-0f3a-4c5a-9d0e-3a1d7a1f0c11"
	ownKS   = "{{ ks_options.liveimg_url }}\n{{ ks_options.agent_token }}\n{{ ks_options.heartbeat_url }}\n"
)

func installSite(t *testing.T, properties store.Dict) *site {
	t.Helper()
	s := newSite(t, "uefi")
	all := store.Dict{"kernel_id": "http://images/vmlinuz", "ramdisk_id": "http://images/initrd", "stage2_id": "http://images/squashfs"}
	maps.Copy(all, properties)
	s.sources = image.Sources{AtOnce: glance(all), Patiently: glance(all)}
	s.cfg.Kickstart = KickstartConfig{Template: "/usr/lib/ironic/drivers/modules/ks.cfg.template", BuiltIn: true,
		APIURL: "http://api:6385/"}
	s.task.Node.DeployInterface = "anaconda"
	s.task.Node.InstanceInfo = store.Dict{"image_source": osImage, "image_url": "http://worker/live.img"}
	return s
}

func TestAnInstallerIsBooted(t *testing.T) {
	for _, c := range []struct {
		boot string
		own  []string
		web  []string
		want string
	}{
		{"pxe", []string{"config", "kernel", "ramdisk"}, []string{"LiveOS/squashfs.img", "ks.cfg", "ks.cfg.template"},
			" linux " + nodeUUID + "/kernel text nofb vga=normal inst.ks=http://192.0.2.1:8080/" + nodeUUID + "/ks.cfg inst.stage2=" +
				"http://192.0.2.1:8080/" + nodeUUID + "\n"},
		{"ipxe", []string{"LiveOS/squashfs.img", "config", "kernel", "ks.cfg", "ks.cfg.template", "ramdisk"}, nil,
			"inst.ks=http://192.0.2.1:8080/" + nodeUUID + "/ks.cfg inst.stage2=http://192.0.2.1:8080/" + nodeUUID + " initrd=ramdisk "},
	} {
		s := installSite(t, nil)
		b := s.boot(t, c.boot)
		if err := b.Validate(t.Context(), s.task); err != nil {
			t.Fatal(err)
		}
		if err := b.PrepareInstance(t.Context(), s.task); err != nil {
			t.Fatalf("%s: %v", c.boot, err)
		}
		if got := listing(t, filepath.Join(b.tree.root, nodeUUID)); !slices.Equal(got, c.own) {
			t.Errorf("%s: %q", c.boot, got)
		}
		if c.web != nil {
			if got := listing(t, filepath.Join(s.http, nodeUUID)); !slices.Equal(got, c.web) {
				t.Errorf("%s: below the HTTP root %q", c.boot, got)
			}
		}
		text := read(t, b.tree.root, nodeUUID, "config")
		if !strings.Contains(text, c.want) || !strings.Contains(text, "boot_anaconda") {
			t.Errorf("%s: %q is missing in\n%s", c.boot, c.want, text)
		}
		info := s.task.Node.DriverInternalInfo
		token := info.String("agent_secret_token")
		ks := read(t, s.http, nodeUUID, "ks.cfg")
		if len(token) != 43 || info["agent_secret_token_pregenerated"] != true || !strings.Contains(ks, token) ||
			!strings.Contains(ks, "http://api:6385/v1/heartbeat/"+nodeUUID) || !strings.Contains(ks, "--url http://worker/live.img\n") {
			t.Errorf("%s: driver_internal_info %v, kickstart\n%s", c.boot, info, ks)
		}
		if info.String("stage2") != "http://images/squashfs" || info.String("ks_template") !=
			"file:///usr/lib/ironic/drivers/modules/ks.cfg.template" || s.task.Node.InstanceInfo.String("kernel") != "http://images/vmlinuz" {
			t.Errorf("%s: %v, %v", c.boot, info, s.task.Node.InstanceInfo)
		}
		if s.management.device != store.BootDevicePXE || !s.management.persistent {
			t.Errorf("%s: boot device %s, persistent %v", c.boot, s.management.device, s.management.persistent)
		}
		// The same again, as after a crash: the token stays the same.
		if err := b.PrepareInstance(t.Context(), s.task); err != nil || info.String("agent_secret_token") != token {
			t.Errorf("%s again: %v", c.boot, err)
		}
		if err := b.CleanUpInstance(t.Context(), s.task); err != nil {
			t.Fatal(err)
		}
		for _, root := range []string{s.tftp, s.http} {
			if _, err := os.Stat(filepath.Join(root, nodeUUID)); err == nil {
				t.Errorf("%s: files are left in %s", c.boot, root)
			}
		}
	}
}

func TestAnInstallerOfATreeNeedsNoSecondStage(t *testing.T) {
	s := installSite(t, nil)
	s.task.Node.DriverInternalInfo["is_source_a_path"] = true
	s.task.Node.InstanceInfo = store.Dict{"image_source": "http://mirror/os/", "image_url": "http://mirror/os/", "kernel": "http://k",
		"ramdisk": "http://r"}
	if err := s.boot(t, "pxe").PrepareInstance(t.Context(), s.task); err != nil {
		t.Fatal(err)
	}
	if text := read(t, s.tftp, nodeUUID, "config"); !strings.Contains(text, "inst.repo=http://mirror/os/\n") {
		t.Errorf("got\n%s", text)
	}
	if ks := read(t, s.http, nodeUUID, "ks.cfg"); !strings.Contains(ks, "url --url http://mirror/os/\n") {
		t.Errorf("got\n%s", ks)
	}
}

func TestKickstartTemplates(t *testing.T) {
	const repeating = "{% for d in ['sda', 'sdb'] %}disk {{ d }} {% endfor %}"
	operators := filepath.Join(t.TempDir(), "site.ks")
	if err := os.WriteFile(operators, []byte("# the site's\n"+repeating+ownKS), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		properties, instance store.Dict
		template             string
		images               string
		want                 string
		kind                 store.Kind
	}{
		"the image's":        {properties: store.Dict{"ks_template": "http://images/ks"}, images: ownKS, want: "http://worker/live.img\n"},
		"the instance's":     {instance: store.Dict{"ks_template": "http://images/other-ks"}, images: "# own\n" + ownKS, want: "# own\n"},
		"the operator's":     {template: operators, want: "# the site's\ndisk sda disk sdb "},
		"one that repeats":   {instance: store.Dict{"ks_template": "http://images/ks"}, images: repeating + ownKS, kind: store.InvalidKickstartTemplate},
		"one that is broken": {instance: store.Dict{"ks_template": "http://images/ks"}, images: "{% if %}", kind: store.InvalidKickstartTemplate},
		"one without a token": {instance: store.Dict{"ks_template": "http://images/ks"}, images: "install",
			kind: store.InvalidKickstartTemplate},
	} {
		s := installSite(t, c.properties)
		if c.template != "" {
			s.cfg.Kickstart.Template, s.cfg.Kickstart.BuiltIn = c.template, false
		}
		s.images.content = c.images
		maps.Copy(s.task.Node.InstanceInfo, c.instance)
		err := s.boot(t, "ipxe").PrepareInstance(t.Context(), s.task)
		if store.KindOf(err) != c.kind || (err != nil) != (c.kind != "") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err == nil && !strings.Contains(read(t, s.http, nodeUUID, "ks.cfg"), c.want) {
			t.Errorf("%s: %q is missing", name, c.want)
		}
	}
}

func TestAnInstallerWithoutASecondStage(t *testing.T) {
	s := installSite(t, store.Dict{"stage2_id": nil})
	b := s.boot(t, "ipxe")
	if err := b.Validate(t.Context(), s.task); store.KindOf(err) != store.MissingParameterValue {
		t.Errorf("validated: %v", err)
	}
	if err := b.PrepareInstance(t.Context(), s.task); store.KindOf(err) != store.ImageUnacceptable {
		t.Errorf("prepared: %v", err)
	}
	s.task.Node.InstanceInfo["stage2"] = "http://images/own-stage2"
	if err := b.PrepareInstance(t.Context(), s.task); err != nil {
		t.Error(err)
	}
	s.cfg.HTTPURL = ""
	err := s.boot(t, "pxe").Validate(t.Context(), s.task)
	if store.KindOf(err) != store.MissingParameterValue || !strings.HasPrefix(err.Error(), "'kickstart' boot option is set on the node but no HTTP") {
		t.Errorf("without an HTTP server: %v", err)
	}
}

func TestAKickstartFileThatKsvalidatorRefuses(t *testing.T) {
	dir := t.TempDir()
	complain := "#!/bin/sh\n/bin/cat \"$1\"\necho it is bad >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "ksvalidator"), []byte(complain), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	s := installSite(t, nil)
	err := s.boot(t, "ipxe").PrepareInstance(t.Context(), s.task)
	if store.KindOf(err) != store.InvalidKickstartFile || !strings.HasSuffix(err.Error(), "it is bad") ||
		!strings.Contains(err.Error(), `"agent_token": "******"`) {
		t.Fatalf("got %v", err)
	}
	if token := s.task.Node.DriverInternalInfo.String("agent_secret_token"); token == "" || strings.Contains(err.Error(), token) {
		t.Error("the token shows in the error")
	}
	if _, err := os.Stat(filepath.Join(s.http, nodeUUID, "ks.cfg")); err == nil {
		t.Error("the file is served all the same")
	}
}
