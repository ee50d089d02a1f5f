package netboot

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pin/tftp/v3"
	"github.com/rs/zerolog"
)

const (
	testMAC  = "52:54:00:12:34:56"
	testID   = "0x1234abcd"
	testUUID = "0d3a0d6c-6d4c-4a7f-9a87-1c6f1d1a3a11"
)

// Loaders that are nothing but the marks by which they are known.
const (
	bitsPXELINUX = "\xea PXELINUX 6.04 PXE"
	bitsUndi     = "\xea PXE->EB: UNDI"
	bitsSnponly  = "MZ iPXE initialising devices"
	bitsGRUB     = "MZ Welcome to GRUB!"
)

var bitsShim = "MZ" + string(utf16Bytes(`\grubx64.efi`))

// lan is a network with a TFTP and an HTTP server over one folder each, and dnsmasq's folders.
type lan struct {
	*Network
	tftpRoot, httpRoot string
	http               string // the URL of the HTTP server
}

func newLAN(t *testing.T) *lan {
	t.Helper()
	dir := t.TempDir()
	l := &lan{tftpRoot: filepath.Join(dir, "tftp"), httpRoot: filepath.Join(dir, "http")}
	dhcp := Dnsmasq{HostsDir: filepath.Join(dir, "hosts"), OptsDir: filepath.Join(dir, "opts"), LeaseFile: filepath.Join(dir, "leases")}
	for _, folder := range []string{l.tftpRoot, l.httpRoot, dhcp.HostsDir, dhcp.OptsDir} {
		must(t, os.MkdirAll(folder, 0o755))
	}
	web := httptest.NewServer(http.FileServer(http.Dir(l.httpRoot)))
	t.Cleanup(web.Close)
	l.http = web.URL
	l.Network = &Network{DHCP: dhcp, TFTPPort: serveTFTP(t, l.tftpRoot), Client: web.Client()}
	return l
}

// serveTFTP serves a folder over TFTP and returns the port.
func serveTFTP(t *testing.T, root string) int {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	server := tftp.NewServer(func(name string, to io.ReaderFrom) error {
		f, err := os.Open(filepath.Join(root, filepath.Clean("/"+name)))
		if errors.Is(err, fs.ErrNotExist) {
			return os.ErrNotExist
		}
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = to.ReadFrom(f)
		return err
	}, nil)
	done := make(chan error, 1)
	go func() { done <- server.Serve(conn) }()
	t.Cleanup(func() {
		server.Shutdown()
		<-done
	})
	server.SetTimeout(time.Second)
	return conn.LocalAddr().(*net.UDPAddr).Port
}

// put writes files below a folder. HTTP/ in a content stands for the URL of the HTTP server.
func (l *lan) put(t *testing.T, root string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(root, name)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(strings.ReplaceAll(content, "HTTP/", l.http+"/")), 0o644))
	}
}

// answer lets dnsmasq know the machine, with these options.
func (l *lan) answer(t *testing.T, options ...string) {
	t.Helper()
	l.put(t, l.DHCP.HostsDir, map[string]string{"ironic-" + testMAC + ".conf": testMAC + ",set:a-tag,set:ironic\n"})
	text := ""
	for _, o := range options {
		text += "tag:a-tag," + o + "\n"
	}
	l.put(t, l.DHCP.OptsDir, map[string]string{"ironic-node.conf": text})
}

// tftpOptions are the options for a boot file over TFTP.
func tftpOptions(name string) []string {
	return append([]string{"67," + name}, tftpServerOptions...)
}

var tftpServerOptions = []string{"66,127.0.0.1", "150,127.0.0.1", "255,127.0.0.1"}

// ipxeOptions are those for iPXE, with its loader and the URL of its script.
func ipxeOptions(loader string) []string {
	return append([]string{"tag:!ipxe,67," + loader, "tag:ipxe,67,HTTP/boot.ipxe", "tag:!ipxe6,59,tftp://127.0.0.1/" + loader},
		tftpServerOptions...)
}

func testMachine(t *testing.T, uefi bool) Machine {
	return Machine{
		MACs: []string{testMAC, "52:54:00:12:34:57"}, UUID: testUUID, Address: "127.7.0.1", UEFI: uefi,
		DiskID:    func() (string, error) { return testID, nil },
		DiskBoots: func() (bool, error) { return true, nil },
		Log:       zerolog.New(zerolog.NewTestWriter(t)),
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
