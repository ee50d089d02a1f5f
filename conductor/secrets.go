package conductor

import (
	"cmp"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// shortestSecret is how long a value must be to be hidden wherever it appears: hiding shorter ones would garble every
// text.
const shortestSecret = 4

// address finds URLs in a text, up to where a sentence goes on.
var address = regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://[^\s"'<>]+`)

// withoutSecrets returns a text without the values that the node's row holds under secret keys, and with no more of a URL
// than its server: the path or the query of those that machines fetch from opens what lies there.
func withoutSecrets(n *store.Node, text string) string {
	if text == "" {
		return ""
	}
	var values []string
	for _, d := range []store.Dict{n.DriverInfo, n.DriverInternalInfo, n.InstanceInfo} {
		values = secretValues(values, map[string]any(d), false)
	}
	// The longest first: one secret may be a part of another.
	slices.SortFunc(values, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	for _, v := range values {
		text = strings.ReplaceAll(text, v, "***")
	}
	return address.ReplaceAllStringFunc(text, serverOf)
}

func serverOf(link string) string {
	trailing := link[len(strings.TrimRight(link, ".,;:)]}")):]
	u, err := url.Parse(strings.TrimSuffix(link, trailing))
	if err != nil || u.Host == "" {
		return "(URL)" + trailing
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		trailing = "/..." + trailing
	}
	return u.Scheme + "://" + u.Host + trailing
}

// secretValues collects texts under secret keys, at every depth.
func secretValues(into []string, value any, secret bool) []string {
	switch v := value.(type) {
	case store.Dict:
		return secretValues(into, map[string]any(v), secret)
	case map[string]any:
		for key, nested := range v {
			into = secretValues(into, nested, secret || secretKey(key))
		}
	case []any:
		for _, nested := range v {
			into = secretValues(into, nested, secret)
		}
	case string:
		if secret && len(v) >= shortestSecret {
			into = append(into, v)
		}
	}
	return into
}

// secretKey reports whether values under the key are not shown.
func secretKey(key string) bool {
	key = strings.ToLower(key)
	return slices.ContainsFunc(secretWords, func(w string) bool { return strings.Contains(key, w) })
}
