package main

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestImageIsAPartitionedDisk(t *testing.T) {
	img, err := buildImage(t.Context(), t.TempDir(), linux)
	if err != nil {
		t.Fatal(err)
	}
	listing, err := exec.Command("/usr/sbin/sfdisk", "--json", img.raw).Output()
	if err != nil {
		t.Fatalf("sfdisk: %v", err)
	}
	var disk struct {
		Table struct {
			Label      string `json:"label"`
			Partitions []struct {
				Type string `json:"type"`
			} `json:"partitions"`
		} `json:"partitiontable"`
	}
	if err := json.Unmarshal(listing, &disk); err != nil {
		t.Fatal(err)
	}
	const efiSystem, linuxData = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
	partitions := disk.Table.Partitions
	if disk.Table.Label != "gpt" || len(partitions) != 2 || partitions[0].Type != efiSystem || partitions[1].Type != linuxData {
		t.Errorf("the disk has the table %+v, want GPT with an EFI system partition and a Linux one", disk.Table)
	}

	raw, err := os.Open(img.raw)
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	// The superblock lies 1024 bytes into the file system, its magic number 56 bytes into that.
	magic := make([]byte, 2)
	if _, err := raw.ReadAt(magic, rootStart*mebibyte+1024+56); err != nil {
		t.Fatal(err)
	}
	if got := binary.LittleEndian.Uint16(magic); got != 0xEF53 {
		t.Errorf("the second partition begins with magic number %#x, want ext4's 0xef53", got)
	}

	if out, err := exec.Command("qemu-img", "compare", "-f", "raw", "-F", "qcow2", img.raw, img.qcow2).CombinedOutput(); err != nil {
		t.Errorf("the qcow2 differs from the raw image: %v: %s", err, out)
	}
}

func TestSecretsAreNotShownOnCommandLines(t *testing.T) {
	out := new(strings.Builder)
	c := &cloud{out: out}
	c.announce([]string{"baremetal", "node", "create", "--driver-info", "redfish_password=sesame"})
	if got, want := out.String(), "  $ openstack baremetal node create --driver-info redfish_password=...\n"; got != want {
		t.Errorf("shown %q, want %q", got, want)
	}
}
