package image

import (
	"net/url"
	"slices"
	"strings"
)

// Credentials are those of image servers, sent as HTTP basic ones ([deploy]image_server_*). Whoever deploys a node chooses the URL of
// its image, so that an operator may say which servers are told of them.
type Credentials struct {
	// User is empty when there are none.
	User, Password string
	// Hosts are the names of servers that they are for, in any port; one that begins with a dot stands for every name below it. Empty
	// means AnyHost.
	Hosts []string
	// AnyHost lets every server have them when Hosts is empty.
	AnyHost bool
}

// For tells whether the server of a URL is sent the credentials.
func (c Credentials) For(href string) bool {
	if c.User == "" {
		return false
	}
	if len(c.Hosts) == 0 {
		return c.AnyHost
	}
	parsed, err := url.Parse(href)
	if err != nil {
		return false
	}
	host := strings.ToLower(parsed.Hostname())
	return host != "" && slices.ContainsFunc(c.Hosts, func(entry string) bool {
		if strings.HasPrefix(entry, ".") {
			return strings.HasSuffix(host, entry)
		}
		return host == entry
	})
}
