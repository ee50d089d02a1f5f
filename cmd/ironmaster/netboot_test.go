package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/dhcp"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/pxe"
	"github.com/ironmaster/ironmaster/messaging"
)

// What an operator lists is set up and offered, and nothing else; what cannot be set up is not offered by half.
func TestNetworkBootIsOffered(t *testing.T) {
	dir := t.TempDir()
	s := &config.Settings{}
	s.PXE.TFTPRoot, s.PXE.TFTPMasterPath, s.Deploy.HTTPRoot = filepath.Join(dir, "tftp"), filepath.Join(dir, "tftp", "master"),
		filepath.Join(dir, "http")
	s.Deploy.HTTPURL, s.PXE.IPXEBootScript = "http://192.0.2.1:8182", "/usr/lib/python3/dist-packages/ironic/drivers/modules/boot.ipxe"
	open := func() *networkBoot {
		boots, err := pxe.New(pxeConfig(s, messaging.V2023_1), dhcp.None{}, nil, image.Sources{})
		if err != nil {
			t.Fatal(err)
		}
		return &networkBoot{Interfaces: boots}
	}
	offered := func(names ...string) (string, error) {
		parts := catalog.Parts{Vendors: vendorInterfaces{drivers.TypeBoot: {}}}
		netboot := open()
		err := netboot.offer(names, vendorBoots(nil, s, netboot.Interfaces), &parts)
		all := slices.Collect(maps.Keys(parts.Vendors[drivers.TypeBoot]))
		for name, boot := range map[string]drivers.Boot{"pxe": parts.PXE, "ipxe": parts.IPXE, "http": parts.HTTP} {
			if boot != nil {
				all = append(all, name)
			}
		}
		return strings.Join(slices.Sorted(slices.Values(all)), " "), err
	}
	if got, err := offered("ilo-ipxe", "irmc-pxe", "pxe"); err != nil || got != "ilo-ipxe irmc-pxe pxe" {
		t.Errorf("offered are %q, %v", got, err)
	}
	if _, err := os.Stat(filepath.Join(s.Deploy.HTTPRoot, "boot.ipxe")); err != nil {
		t.Errorf("ilo-ipxe alone sets up no script: %v", err)
	}
	s.PXE.LoaderFilePaths = map[string]string{"x": filepath.Join(dir, "none")}
	if got, err := offered("pxe", "ilo-pxe"); err == nil || got != "" {
		t.Errorf("offered are %q, %v", got, err)
	}
}
