package agent

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs"
	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/ironmaster/ironmaster/store"
)

func openConfigDrive(t *testing.T, packed string) filesystem.FileSystem {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(packed)
	if err != nil {
		t.Fatal(err)
	}
	zip, err := gzip.NewReader(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	iso, err := io.ReadAll(zip)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "config.iso")
	if err := os.WriteFile(name, iso, 0o600); err != nil {
		t.Fatal(err)
	}
	disk, err := diskfs.Open(name, diskfs.WithOpenMode(diskfs.ReadOnly))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = disk.Close() })
	tree, err := disk.GetFilesystem(0)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestConfigDriveHoldsWhatCloudInitReads(t *testing.T) {
	name := "n1"
	parts, err := store.ParseDict([]byte(`{"meta_data": {"hostname": "h", "name": "vm0"}, "user_data": "#!/bin/sh\necho é\n",
		"network_data": {"links": []}, "vendor_data": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	packed, err := buildConfigDrive(&store.Node{UUID: "u", Name: &name}, parts)
	if err != nil {
		t.Fatal(err)
	}
	tree := openConfigDrive(t, packed)
	if label := strings.TrimRight(tree.(*iso9660.FileSystem).Label(), "\x00"); label != "config-2" {
		t.Errorf("label %q", label)
	}
	for file, want := range map[string]string{
		"openstack/latest/meta_data.json":        `{"hostname": "h", "name": "vm0", "uuid": "u"}`,
		"openstack/2012-08-10/user_data":         "#!/bin/sh\necho é\n",
		"openstack/2012-08-10/network_data.json": `{"links": []}`,
	} {
		f, err := tree.OpenFile(file, os.O_RDONLY)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if got, err := io.ReadAll(f); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", file, got, err, want)
		}
	}
	if _, err := tree.OpenFile("openstack/latest/vendor_data2.json", os.O_RDONLY); err == nil {
		t.Error("empty vendor data became a file")
	}
}

func TestConfigDriveUserDataMayBeAnObject(t *testing.T) {
	files, err := configDriveFiles(&store.Node{UUID: "u"}, store.Dict{"user_data": map[string]any{"ignition": "x"}})
	if err != nil || string(files["user_data"]) != `{"ignition": "x"}` || string(files["meta_data.json"]) != `{"uuid": "u"}` {
		t.Errorf("%s, %v", files, err)
	}
}
