package netboot

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// The DHCP options that boots are about (RFC 2132, RFC 5859). dnsmasq lets 255 stand for the field siaddr.
const (
	optionVendorClass = 60
	optionTFTPServer  = 66
	optionBootFile    = 67
	optionTFTPAddress = 150
	optionServerIP    = 255
)

// httpClient is the vendor class by which a server answers a boot over HTTP (UEFI 2.10, §24.7.3).
const httpClient = "HTTPClient"

// request is what of a DHCPDISCOVER decides about the answer.
type request struct {
	mac, address string
	// ipxe tells that option 175 was sent, as iPXE does.
	ipxe bool
}

// answer are the options that were sent back.
type answer struct{ options map[int]string }

// loader is the file that firmware is to load. A boot over HTTP wants the vendor class of HTTP and a URL, one over TFTP a name
// and the address of a server.
func (a answer) loader(overHTTP bool) (file, error) {
	name, class := a.options[optionBootFile], a.options[optionVendorClass]
	switch {
	case name == "":
		return file{}, errors.New("DHCP named no boot file (option 67)")
	case overHTTP && class != httpClient:
		return file{}, fmt.Errorf("DHCP answered with the vendor class %q, not %s (option 60)", class, httpClient)
	case overHTTP:
		return parseURL(name)
	case class == httpClient:
		return file{}, errors.New("DHCP answered for a boot over HTTP (option 60), and the machine boots over TFTP")
	case strings.Contains(name, "://"):
		return file{}, fmt.Errorf("DHCP named the URL %s (option 67), and the firmware knows only TFTP", name)
	}
	server, err := a.tftpServer()
	return file{server: server, name: name}, err
}

// tftpServer is where plain names are fetched from. All that clients may go by must agree, for each looks elsewhere.
func (a answer) tftpServer() (string, error) {
	server := a.options[optionServerIP]
	if net.ParseIP(server).To4() == nil {
		return "", fmt.Errorf("DHCP named no TFTP server: server-ip-address (option 255) is %q", server)
	}
	for _, option := range []int{optionTFTPServer, optionTFTPAddress} {
		if other, given := a.options[option]; given && other != server {
			return "", fmt.Errorf("DHCP named the TFTP server %s, and %s in option %d", server, other, option)
		}
	}
	return server, nil
}

// parseURL takes an absolute URL of a scheme that loaders know.
func parseURL(text string) (file, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return file{}, fmt.Errorf("the URL %q cannot be understood", text)
	case u.Host == "":
		return file{}, fmt.Errorf("the URL %q names no server", text)
	case u.Scheme == "tftp":
		return file{server: u.Host, name: strings.TrimPrefix(u.Path, "/")}, nil
	case u.Scheme == "http", u.Scheme == "https":
		return file{url: u}, nil
	}
	return file{}, fmt.Errorf("the URL %q is neither of tftp nor of http", text)
}
