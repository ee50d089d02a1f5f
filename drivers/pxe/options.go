package pxe

import (
	"cmp"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/dhcp"
	"github.com/ironmaster/ironmaster/store"
)

// DHCP options by number (RFC 2132, 5071, 5859, 5970). 255 is dnsmasq's way to set the server's address in the header.
const (
	optionVendorClass   = "60"
	optionTFTPServer    = "66"
	optionBootFile      = "67"
	optionBootFileURL   = "59" // of DHCPv6
	optionTFTPAddress   = "150"
	optionPathPrefix    = "210"
	optionServerAddress = "255"
	optionIPXE          = "175" // only iPXE sends it
)

// dhcpOptions are those of both versions of IP; whoever passes them on takes what fits the machine's address.
func (b *Boot) dhcpOptions(t *drivers.Task, mode string) ([]dhcp.Option, error) {
	four, err := b.dhcpv4(t, mode)
	if err != nil {
		return nil, err
	}
	six, err := b.dhcpv6(t, mode)
	return append(four, six...), err
}

func (b *Boot) dhcpv4(t *drivers.Task, mode string) ([]dhcp.Option, error) {
	file := b.loader(t.Node, mode)
	if b.http {
		file = b.cfg.HTTPURL + "/" + file
	}
	if err := b.checkLength(file); err != nil {
		return nil, err
	}
	var options []dhcp.Option
	add := func(name, value string) {
		options = append(options, dhcp.Option{Name: name, Value: value, IPVersion: 4})
	}
	switch {
	case b.ipxe && b.dhcp.TagsIPXE():
		add("tag:!ipxe,"+optionBootFile, file)
		add("tag:ipxe,"+optionBootFile, b.scriptURL())
	case b.ipxe:
		add("!"+optionIPXE+","+optionBootFile, file)
		add(optionBootFile, b.scriptURL())
	default:
		add(optionBootFile, file)
		if b.cfg.PathPrefix && !b.http {
			add(optionPathPrefix, strings.TrimRight(b.cfg.TFTPRoot, "/")+"/")
		}
	}
	if b.http {
		add(optionVendorClass, "HTTPClient")
		return options, nil
	}
	add(optionTFTPServer, b.cfg.TFTPServer)
	add(optionTFTPAddress, b.cfg.TFTPServer)
	add(optionServerAddress, b.cfg.TFTPServer)
	return options, nil
}

// dhcpv6 always names a URL (RFC 5970).
func (b *Boot) dhcpv6(t *drivers.Task, mode string) ([]dhcp.Option, error) {
	file := "tftp://" + bracketed(cmp.Or(b.cfg.IPv6Server, b.cfg.TFTPServer)) + "/" + b.loader(t.Node, mode)
	if b.http {
		file = b.cfg.HTTPURL + "/" + b.loader(t.Node, mode)
	}
	if err := b.checkLength(file); err != nil {
		return nil, err
	}
	option := func(name, value string) dhcp.Option { return dhcp.Option{Name: name, Value: value, IPVersion: 6} }
	switch {
	case b.ipxe && b.dhcp.TagsIPXE():
		return []dhcp.Option{option("tag:!ipxe6,"+optionBootFileURL, file),
			option("tag:ipxe6,"+optionBootFileURL, b.scriptURL())}, nil
	case b.ipxe:
		return []dhcp.Option{option("!"+optionIPXE+","+optionBootFileURL, file), option(optionBootFileURL, b.scriptURL())}, nil
	}
	return []dhcp.Option{option(optionBootFileURL, file)}, nil
}

func (b *Boot) scriptURL() string { return b.cfg.HTTPURL + "/" + b.templates.scriptName }

// longestBootFile is what Neutron takes.
const longestBootFile = 64

func (b *Boot) checkLength(file string) error {
	if !b.cfg.ShortBootFiles || len(file) <= longestBootFile {
		return nil
	}
	return store.Errorf(store.InvalidParameterValue, "The resulting boot file or URL length exceeds Neutron limitations. Please "+
		"explore shorter file names or hostnames.")
}

// loader is the name of the node's first boot file.
func (b *Boot) loader(n *store.Node, mode string) string {
	files := b.cfg.Loaders
	if b.ipxe {
		files = b.cfg.IPXELoaders
	}
	arch := n.Properties.String("cpu_arch")
	if file, ok := files.ByArch[arch+"-"+mode]; ok && b.cfg.LoadersByArchAndMode {
		return file
	}
	if file, ok := files.ByArch[arch]; ok {
		return file
	}
	if mode == store.BootModeUEFI {
		return files.UEFI
	}
	return files.BIOS
}

// bracketed writes an IPv6 address as URLs have it.
func bracketed(host string) string {
	if strings.Contains(host, ":") && !strings.HasPrefix(host, "[") {
		return "[" + host + "]"
	}
	return host
}
