package agent

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// validateProxies follows ironic's validate_image_proxies.
func validateProxies(n *store.Node) error {
	var problems []string
	var bad []string
	for _, key := range []string{"image_http_proxy", "image_https_proxy"} {
		proxy := n.DriverInfo.String(key)
		scheme, _, found := strings.Cut(proxy, "://")
		if found && !slices.Contains([]string{"", "http", "https"}, strings.ToLower(scheme)) {
			bad = append(bad, fmt.Sprintf("'%s': '%s'", key, image.Redact(proxy)))
		}
	}
	if len(bad) > 0 {
		problems = append(problems, "Proxy URL should either have HTTP(S) scheme or no scheme at all, the following URLs are "+
			"invalid: {"+strings.Join(bad, ", ")+"}.")
	}
	if value := n.DriverInfo["image_no_proxy"]; value != nil {
		text, ok := value.(string)
		if !ok || !validNoProxy(text) {
			problems = append(problems, fmt.Sprintf("image_no_proxy should be a list of host names, IP addresses or domain names "+
				"to exclude from proxying, the specified list %v is incorrect. To denote a domain name, prefix it with a dot "+
				"(instead of e.g. '.*').", value))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return store.Errorf(store.InvalidParameterValue, "%s", strings.Join(problems, ""))
}

func validNoProxy(list string) bool {
	for host := range strings.SplitSeq(list, ",") {
		host, _, _ = strings.Cut(strings.TrimSpace(host), ":")
		if host == "" {
			continue
		}
		limit := 253
		if strings.HasPrefix(host, ".") {
			host, limit = host[1:], 251
		}
		if len(host) > limit || slices.ContainsFunc(strings.Split(host, "."), func(l string) bool { return !isLabel(l) }) {
			return false
		}
	}
	return true
}

// isLabel follows RFC 1123 for one label of a host name.
func isLabel(s string) bool {
	if len(s) == 0 || len(s) > 63 || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r != '-' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
	})
}

// addProxies tells the agent which proxies to fetch the image through.
func addProxies(info store.Dict, driver store.Dict) {
	proxies := store.Dict{}
	for _, scheme := range []string{"http", "https"} {
		if proxy := driver.String("image_" + scheme + "_proxy"); proxy != "" {
			proxies[scheme] = proxy
		}
	}
	if len(proxies) == 0 {
		return
	}
	info["proxies"] = proxies
	if exempt := driver["image_no_proxy"]; exempt != nil {
		info["no_proxy"] = exempt
	}
}
