package netboot

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Dnsmasq answers DHCP requests out of the files that a conductor writes for dnsmasq (dnsmasq(8), dhcp-hostsdir and dhcp-optsdir). The
// rest of its configuration is what ironic asks for: iPXE's requests get the tag ipxe (dhcp-match=set:ipxe,175), and hosts
// that no file knows get no answer (dhcp-ignore=tag:!known).
type Dnsmasq struct {
	HostsDir, OptsDir string
	// LeaseFile is where leases are noted, unless it is empty.
	LeaseFile string
}

// errUnknown is why a request stays without an answer.
var errUnknown = errors.New("no DHCP server answers")

const leaseTime = time.Hour

// ask sends a DHCP request.
func (n *Network) ask(r request) (answer, error) {
	if n.DHCP.HostsDir == "" {
		return answer{}, errUnknown
	}
	tags, err := n.DHCP.tags(r)
	if err != nil {
		return answer{}, err
	}
	given, err := n.DHCP.options(tags)
	if err != nil {
		return answer{}, err
	}
	return given, n.lease(r)
}

// tags are those that a request has. A host that is to be ignored or that is not known gets no answer.
func (d Dnsmasq) tags(r request) (map[string]bool, error) {
	var found *host
	err := eachLine(d.HostsDir, func(line string) error {
		h, err := parseHost(line)
		if err == nil && found == nil && h.is(r.mac) {
			found = &h
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, fmt.Errorf("%w: it does not know %s", errUnknown, r.mac)
	case found.ignore:
		return nil, fmt.Errorf("%w: it is to ignore %s", errUnknown, r.mac)
	}
	tags := map[string]bool{"known": true, "ipxe": r.ipxe}
	for _, tag := range found.tags {
		tags[tag] = true
	}
	return tags, nil
}

// options picks those whose tags all fit. Those with tags go before those without, and among equals the last one counts.
func (d Dnsmasq) options(tags map[string]bool) (answer, error) {
	given := answer{options: map[int]string{}}
	tagged := map[int]bool{}
	err := eachLine(d.OptsDir, func(line string) error {
		o, err := parseOption(line)
		if err != nil || o.v6 || !o.fits(tags) || tagged[o.number] && len(o.tags) == 0 {
			return err
		}
		given.options[o.number] = o.value
		tagged[o.number] = len(o.tags) > 0
		return nil
	})
	return given, err
}

// eachLine visits the lines of a folder's files as dnsmasq reads them: without comments, and without the files that editors
// leave behind.
func eachLine(dir string, do func(string) error) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("reading dnsmasq's folder: %w", err)
	}
	for _, entry := range entries {
		name := entry.Name()
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, "~") || strings.HasPrefix(name, "#") && strings.HasSuffix(name, "#") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // it went between the two
		}
		if err != nil {
			return fmt.Errorf("reading a file for dnsmasq: %w", err)
		}
		if err := eachDirective(string(text), do); err != nil {
			return fmt.Errorf("dnsmasq's file %s: %w", name, err)
		}
	}
	return nil
}

func eachDirective(text string, do func(string) error) error {
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := do(line); err != nil {
			return fmt.Errorf("line %d: %w", number, err)
		}
	}
	return nil
}

// host is a line of dhcp-hostsdir, which is a value of dhcp-host.
type host struct {
	macs, tags []string
	ignore     bool
}

func (h host) is(mac string) bool {
	for _, own := range h.macs {
		if strings.EqualFold(own, mac) {
			return true
		}
	}
	return false
}

var macPattern = regexp.MustCompile(`^(?:[0-9A-Fa-f]{2}:){5,19}[0-9A-Fa-f]{2}$`)

// parseHost takes a line apart. Names, addresses and lease times are allowed and say nothing about booting.
func parseHost(line string) (host, error) {
	var h host
	for word := range strings.SplitSeq(line, ",") {
		word = strings.TrimSpace(word)
		kind, value, prefixed := strings.Cut(word, ":")
		switch {
		case macPattern.MatchString(word):
			h.macs = append(h.macs, word)
		case word == "ignore":
			h.ignore = true
		case prefixed && (kind == "set" || kind == "net") && value != "":
			h.tags = append(h.tags, value)
		case prefixed && (kind == "id" || kind == "tag"), net.ParseIP(strings.Trim(word, "[]")) != nil:
		case !prefixed && word != "":
		default:
			return h, fmt.Errorf("%q is none of a dhcp-host's parts", word)
		}
	}
	return h, nil
}

// option is a line of dhcp-optsdir, which is a value of dhcp-option.
type option struct {
	tags   []string
	number int
	value  string
	v6     bool
}

// optionNames are dnsmasq's names of the options that matter to a boot.
var optionNames = map[string]int{
	"vendor-class": optionVendorClass, "tftp-server": optionTFTPServer, "bootfile-name": optionBootFile,
	"tftp-server-address": optionTFTPAddress, "server-ip-address": optionServerIP,
}

func (o option) fits(tags map[string]bool) bool {
	for _, tag := range o.tags {
		name, not := strings.CutPrefix(tag, "!")
		if tags[name] == not {
			return false
		}
	}
	return true
}

func parseOption(line string) (option, error) {
	var o option
	for {
		word, rest, more := strings.Cut(line, ",")
		kind, value, prefixed := strings.Cut(strings.TrimSpace(word), ":")
		if prefixed && (kind == "tag" || kind == "net") && value != "" && more {
			o.tags = append(o.tags, value)
			line = rest
			continue
		}
		if err := o.name(strings.TrimSpace(word)); err != nil {
			return o, err
		}
		o.value = strings.Trim(strings.TrimSpace(rest), `"`)
		return o, nil
	}
}

// name takes the word that says which option a line is about.
func (o *option) name(word string) error {
	kind, name, prefixed := strings.Cut(word, ":")
	switch {
	case prefixed && kind == "option6" && name != "":
		o.v6 = true
		return nil
	case prefixed && kind == "option":
		number, known := optionNames[name]
		if !known {
			return fmt.Errorf("%q is not an option that a machine here looks at", name)
		}
		o.number = number
		return nil
	case prefixed:
		return fmt.Errorf("%q is none of a dhcp-option's parts", word)
	}
	number, err := strconv.Atoi(word)
	if err != nil || number < 1 || number > 255 {
		return fmt.Errorf("bad dhcp-option %q", word)
	}
	o.number = number
	return nil
}

// lease notes in the lease file who has which address: when it ends, MAC address, IP address, name and client id.
func (n *Network) lease(r request) error {
	if n.DHCP.LeaseFile == "" {
		return nil
	}
	n.leases.Lock()
	defer n.leases.Unlock()
	text, err := os.ReadFile(n.DHCP.LeaseFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the leases: %w", err)
	}
	var kept strings.Builder
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) < 3 || fields[1] != r.mac && fields[2] != r.address {
			kept.WriteString(line)
		}
	}
	fmt.Fprintf(&kept, "%d %s %s * *\n", time.Now().Add(leaseTime).Unix(), r.mac, r.address)
	if err := os.WriteFile(n.DHCP.LeaseFile+".new", []byte(kept.String()), 0o644); err != nil {
		return fmt.Errorf("writing the leases: %w", err)
	}
	if err := os.Rename(n.DHCP.LeaseFile+".new", n.DHCP.LeaseFile); err != nil {
		return fmt.Errorf("writing the leases: %w", err)
	}
	return nil
}
