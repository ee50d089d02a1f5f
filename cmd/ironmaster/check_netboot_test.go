package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/conductor/config"
)

func TestNetworkBootIsTold(t *testing.T) {
	dir := t.TempDir()
	good := func() *config.Settings {
		s := &config.Settings{}
		s.PXE = config.PXE{TFTPRoot: dir, TFTPMasterPath: dir, TFTPServer: "192.0.2.1", BootfileName: "loader", UEFIBootfileName: "loader",
			IPXEBootfileName: "loader", UEFIIPXEBootfileName: "loader"}
		s.Deploy.HTTPRoot, s.Deploy.HTTPURL, s.DHCP.Provider = dir, "http://192.0.2.1", "none"
		return s
	}
	if err := os.WriteFile(filepath.Join(dir, "loader"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		spoil func(s *config.Settings)
		want  string
	}{
		"nothing":         {func(*config.Settings) {}, ""},
		"a root":          {func(s *config.Settings) { s.PXE.TFTPRoot = "/proc/none" }, "[pxe]tftp_root: "},
		"the server":      {func(s *config.Settings) { s.PXE.TFTPServer = "" }, "[pxe]tftp_server is empty"},
		"the URL":         {func(s *config.Settings) { s.Deploy.HTTPURL = "" }, "[deploy]http_url is not set"},
		"Swift":           {func(s *config.Settings) { s.PXE.IPXEUseSwift = true }, "[pxe]ipxe_use_swift is not supported"},
		"a loader":        {func(s *config.Settings) { s.PXE.UEFIIPXEBootfileName = "snponly.efi" }, "ipxe: no boot loader"},
		"a loader's path": {func(s *config.Settings) { s.PXE.LoaderFilePaths = map[string]string{"x": "/no/such"} }, "loader_file_paths, x: "},
		"Neutron and noop": {func(s *config.Settings) {
			s.DHCP.Provider, s.Default.EnabledNetwork = "neutron", []string{"noop", "flat"}
		}, "no network interface but noop"},
		"dnsmasq's folder": {func(s *config.Settings) {
			s.DHCP.Provider, s.Dnsmasq.OptsDir, s.Dnsmasq.HostsDir = "dnsmasq", "/proc/none", dir
		},
			"[dnsmasq]dhcp_optsdir: "},
	} {
		for _, names := range [][]string{{"pxe", "ipxe"}, {"irmc-pxe", "ilo-ipxe"}} {
			s := good()
			c.spoil(s)
			n := networkBootCheck{s: s, names: names, networks: []string{"noop"}}
			n.folders()
			n.addresses()
			n.loaders()
			n.dhcp()
			var told []string
			for _, f := range n.found {
				told = append(told, f.text)
				if f.remedy == "" {
					t.Errorf("%s: no remedy for %s", name, f.text)
				}
			}
			if all := strings.Join(told, "\n"); (c.want == "") != (all == "") || !strings.Contains(all, c.want) {
				t.Errorf("%s, %v: %q, want %q", name, names, all, c.want)
			}
		}
	}
}
