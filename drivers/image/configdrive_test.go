package image

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

var driveNode = ConfigDriveNode{UUID: nodeID, Name: "machine-1"}

// isoFile reads one file with isoinfo, by its Rock Ridge (-R) or Joliet (-J) name.
func isoFile(t *testing.T, iso, names, path string) string {
	t.Helper()
	out, err := exec.Command("isoinfo", names, "-i", iso, "-x", path).Output()
	if err != nil {
		t.Fatalf("isoinfo %s %s: %v", names, path, err)
	}
	return string(out)
}

func TestConfigDriveFromObject(t *testing.T) {
	long := strings.Repeat("#!/bin/sh\n", 1000)
	text, err := ConfigDrive(driveNode, map[string]any{
		"meta_data":    map[string]any{"hostname": "h", "port": json.Number("8080")},
		"network_data": map[string]any{"links": []any{}},
		"vendor_data":  map[string]any{"v": true},
		"user_data":    long,
	})
	if err != nil {
		t.Fatal(err)
	}
	image, err := DecodeConfigDrive(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(image) > 1<<20 {
		t.Errorf("the image has %d bytes", len(image))
	}
	iso := writeFile(t, filepath.Join(t.TempDir(), "c.iso"), image)
	label, err := exec.Command("isoinfo", "-d", "-i", iso).CombinedOutput()
	if err != nil || !bytes.Contains(label, []byte("Volume id: config-2")) || !bytes.Contains(label, []byte("Joliet with UCS")) ||
		!bytes.Contains(label, []byte("Rock Ridge signatures")) {
		t.Errorf("%v\n%s", err, label)
	}
	for _, names := range []string{"-R", "-J"} {
		for _, version := range []string{"2012-08-10", "latest"} {
			dir := "/openstack/" + version + "/"
			var meta map[string]any
			if err := json.Unmarshal([]byte(isoFile(t, iso, names, dir+"meta_data.json")), &meta); err != nil {
				t.Fatal(err)
			}
			if meta["uuid"] != nodeID || meta["name"] != "machine-1" || meta["hostname"] != "h" || meta["port"] != 8080.0 {
				t.Errorf("meta_data %v", meta)
			}
			for name, want := range map[string]string{"network_data.json": `{"links":[]}`, "vendor_data2.json": `{"v":true}`, "user_data": long} {
				if got := isoFile(t, iso, names, dir+name); got != want {
					t.Errorf("%s%s: %.50q", dir, name, got)
				}
			}
		}
	}
}

func TestConfigDriveForms(t *testing.T) {
	built, err := ConfigDrive(driveNode, store.Dict{"user_data": []any{"a", 1}, "meta_data": nil})
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"", "http://host/drive", "https://host/drive", built} {
		if got, err := ConfigDrive(driveNode, value); err != nil || got != value {
			t.Errorf("%.30q: %.30q, %v", value, got, err)
		}
	}
	if got, err := ConfigDrive(driveNode, nil); err != nil || got != "" {
		t.Errorf("none: %q, %v", got, err)
	}
	// The user's own uuid and name stay.
	own, err := configDriveFiles(driveNode, store.Dict{"meta_data": map[string]any{"uuid": "u", "name": nil}})
	if err != nil || string(own["meta_data.json"]) != `{"name":null,"uuid":"u"}` {
		t.Errorf("%s, %v", own["meta_data.json"], err)
	}
}

func TestConfigDriveRefuses(t *testing.T) {
	plain := base64.StdEncoding.EncodeToString([]byte("secret-password"))
	built, err := ConfigDrive(driveNode, store.Dict{})
	if err != nil {
		t.Fatal(err)
	}
	packed, err := base64.StdEncoding.DecodeString(built)
	if err != nil {
		t.Fatal(err)
	}
	damaged := base64.StdEncoding.EncodeToString(packed[:len(packed)/2])
	for name, tt := range map[string]struct {
		value any
		text  string
	}{
		"no base64":          {"secret-password!", "neither a URL nor base64"},
		"no gzip":            {plain, "not gzip"},
		"damaged":            {damaged, "damaged"},
		"number":             {json.Number("5"), "must be a text, a URL or an object"},
		"unknown key":        {store.Dict{"metadata": 1}, `unknown key "metadata"`},
		"meta_data text":     {store.Dict{"meta_data": "secret-password"}, "meta_data must be an object"},
		"network_data array": {map[string]any{"network_data": []any{}}, "network_data must be an object"},
		"user_data number":   {store.Dict{"user_data": 5}, "user_data must be a text"},
	} {
		_, err := ConfigDrive(driveNode, tt.value)
		wantKind(t, err, store.InvalidParameterValue, "Invalid parameter instance_info.configdrive: ", tt.text)
		if strings.Contains(err.Error(), "secret-password") {
			t.Errorf("%s: the error tells the contents: %v", name, err)
		}
	}
}

func FuzzDecodeConfigDrive(f *testing.F) {
	built, err := ConfigDrive(driveNode, store.Dict{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(built)
	f.Add("H4sIAAAAAAAA")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		image, err := DecodeConfigDrive(text)
		if err != nil && store.KindOf(err) != store.InvalidParameterValue {
			t.Errorf("got %v", err)
		}
		if len(image) > maxConfigDrive {
			t.Errorf("%d bytes", len(image))
		}
	})
}
