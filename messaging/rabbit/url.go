// Package rabbit connects a worker to RabbitMQ exactly as oslo.messaging would: the same exchanges, queues and arguments
// for the same options, supervised connections that come back by themselves, a Server for requests, a Publisher for
// replies and notifications, and a Subscriber for those who watch events.
package rabbit

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

const defaultPort = 5672

// Host is one broker of a transport URL with its own credentials.
type Host struct {
	User, Password string
	Name           string
	Port           int
}

// Address returns host:port. It is safe to log.
func (h Host) Address() string { return net.JoinHostPort(h.Name, strconv.Itoa(h.Port)) }

// String is Address, so that formatting a Host never shows its password.
func (h Host) String() string { return h.Address() }

// GoString does the same for %#v.
func (h Host) GoString() string { return h.Address() }

// URL is a parsed transport_url.
type URL struct {
	Hosts []Host
	VHost string
	// Query holds options of [oslo_messaging_rabbit] that override the configuration file.
	Query map[string]string
}

// ParseURL reads oslo.messaging's transport_url: scheme://[user[:pass]@]host[:port][,...]/[vhost][?option=value&...]. Each
// host has its own credentials; one without is tried as guest. Errors never quote the URL, it holds passwords.
func ParseURL(text string) (URL, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case !ok:
		return URL{}, errors.New("transport_url: no scheme, expected rabbit://user:password@host:5672/")
	case scheme != "rabbit" && scheme != "kombu":
		return URL{}, fmt.Errorf("transport_url: scheme %q is not supported, only rabbit is", safeScheme(scheme))
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, query, _ := strings.Cut(rest, "?")
	netloc, path, _ := strings.Cut(rest, "/")

	u := URL{VHost: "/", Query: map[string]string{}}
	if path != "" {
		u.VHost = unquote(path)
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return URL{}, errors.New("transport_url: the query is not properly encoded")
	}
	for key, all := range values {
		u.Query[key] = strings.Join(all, ",")
	}
	for i, part := range strings.Split(netloc, ",") {
		if part == "" {
			continue
		}
		h, err := parseHost(part)
		if err != nil {
			return URL{}, fmt.Errorf("transport_url: host %d: %w", i+1, err)
		}
		u.Hosts = append(u.Hosts, h)
	}
	if len(u.Hosts) == 0 {
		u.Hosts = []Host{{User: "guest", Password: "guest", Name: "localhost", Port: defaultPort}}
	}
	return u, nil
}

// safeScheme keeps a mistyped URL from showing its password as a "scheme".
func safeScheme(s string) string {
	if strings.ContainsAny(s, ":@/") || len(s) > 20 {
		return "?"
	}
	return s
}

// unquote decodes %XX and leaves a percent sign that begins no such thing as it is, like Python's urllib.parse.unquote:
// installations with a bare % in a password work with the original.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if code, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(code))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func parseHost(part string) (Host, error) {
	h := Host{User: "guest", Password: "guest", Port: defaultPort}
	address := part
	if at := strings.LastIndexByte(part, '@'); at >= 0 {
		user, password, _ := strings.Cut(part[:at], ":")
		h.User, h.Password = unquote(user), unquote(password)
		address = part[at+1:]
	}
	name, port := address, ""
	if strings.HasPrefix(address, "[") {
		end := strings.IndexByte(address, ']')
		if end < 0 {
			return h, errors.New("an IPv6 address lacks its closing bracket")
		}
		name, port = address[1:end], strings.TrimPrefix(address[end+1:], ":")
	} else {
		name, port, _ = strings.Cut(address, ":")
	}
	if h.Name = name; name == "" {
		h.Name = "localhost"
	}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return h, errors.New("the port is not a number from 1 to 65535")
		}
		h.Port = int(n)
	}
	return h, nil
}
