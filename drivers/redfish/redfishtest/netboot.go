package redfishtest

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/dhcp"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/pxe"
	"github.com/ironmaster/ironmaster/store"
)

// NetworkBoot returns the boot interfaces over the network, and the folders that machines would read by TFTP and HTTP.
func NetworkBoot(t *testing.T) (boots pxe.Interfaces, tftpRoot, httpRoot string) {
	t.Helper()
	dir := t.TempDir()
	tftpRoot, httpRoot = filepath.Join(dir, "tftp"), filepath.Join(dir, "http")
	images := kernels(filepath.Join(dir, "images"))
	for _, d := range []string{tftpRoot, httpRoot, string(images)} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	boots, err := pxe.New(pxe.Config{TFTPServer: "192.0.2.1", TFTPRoot: tftpRoot, HTTPRoot: httpRoot, HTTPURL: "http://192.0.2.1:8182",
		Subdir: "pxelinux.cfg", FileMode: 0o644, DefaultBootMode: "uefi"}, dhcp.None{}, images, image.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	return boots, tftpRoot, httpRoot
}

// kernels is pxe.Files in a folder: every href's content is its name.
type kernels string

func (k kernels) Fetch(_ context.Context, _ *drivers.Task, ref image.Ref, _ string) (string, error) {
	path := filepath.Join(string(k), ref.Href)
	return path, os.WriteFile(path, []byte(ref.Href), 0o600)
}

func (kernels) Release(*drivers.Task, string) error { return nil }

// Ports are one, by which the node boots from the network.
func (*Worker) Ports(context.Context, *drivers.Task) ([]*store.Port, error) {
	return []*store.Port{{UUID: "port-1", Address: "52:54:00:aa:bb:01"}}, nil
}
