package traitnet

import (
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func told(text string) *string { return &text }

// Each parenthesis shows how upstream's parser, lark, binds.
func TestFilters(t *testing.T) {
	port := Candidate{UUID: "p", Address: told("52:54:00:00:00:01"), Category: told("data"), Vendor: told("green")}
	group := Candidate{UUID: "g", Group: true, Category: told("data")}
	network := Network{ID: "vif", Name: told("storage-1"), Tags: []string{"fast", "far"}}
	for text, want := range map[string]bool{
		"port.is_port":                        true,
		"port.is_portgroup":                   false,
		"port.vendor == 'green'":              true,
		"port.vendor=='green'":                true,
		"\n(\tport.vendor\f==\r'green' ) ":    true,
		"port.vendor != 'green'":              false,
		"port.vendor > 'a'":                   true,
		"port.vendor >= 'green'":              true,
		"port.vendor < 'green'":               false,
		"port.vendor <= 'green'":              true,
		"port.vendor =~ 'gr'":                 true,
		"port.vendor =~ 'r'":                  false,
		"port.vendor =~ ''":                   true,
		"port.address =~ '52'":                true,
		"network.name == 'storage-1'":         true,
		"network.tags == 'fast'":              true,
		"network.tags == 'fas'":               false,
		"network.tags =~ 'fas'":               true,
		"network.tags =~ 'x'":                 false,
		"network.tags != 'slow'":              true,
		"network.tags != 'far'":               false,
		"port.is_port || port.category == ''": true,
		// From left to right: (true || true) && false.
		"port.is_port || port.is_port && port.is_portgroup":   false,
		"port.is_port || (port.is_port && port.is_portgroup)": true,
		// (false && true) || true.
		"port.is_portgroup && port.is_port || port.is_port": true,
		"port.is_portgroup && port.physical_network == 'a'": false, // not looked at
		"port.is_port || port.physical_network == 'a'":      true,
		"((port.is_port))": true,
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got, err := f.matches(port, network); err != nil || got != want {
			t.Errorf("%s: got %v (%v), want %v", text, got, err, want)
		}
	}
	if f, err := parseFilter("port.is_portgroup"); err != nil {
		t.Error(err)
	} else if ok, err := f.matches(group, network); !ok || err != nil {
		t.Errorf("a port group is none: %v", err)
	}
}

func TestFiltersThatAskForWhatNobodyTold(t *testing.T) {
	for text, want := range map[string]string{
		"port.vendor == 'x'":           "Could not retrieve attribute vendor from passed object",
		"port.physical_network != 'x'": "Could not retrieve attribute physical_network from passed object",
		"network.name == 'x'":          "Could not retrieve attribute name from passed object",
		"network.tags > 'x'":           "Comparator '>' can only be used with variables of type string, not a collection",
	} {
		f, err := parseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.matches(Candidate{}, Network{}); err == nil || err.Error() != want || store.KindOf(err) == "" {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestFiltersThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "there is no variable here: ",
		"port.is_port()":                  "nothing may follow here: ()",
		"port.is_portx":                   "there is no variable here: port.is_portx",
		"port.is_port == 'x'":             "nothing may follow here: == 'x'",
		"port.is_port port.is_port":       "nothing may follow here: port.is_port",
		"port.speed == 'x'":               "there is no variable here: port.speed == 'x'",
		"network.is_port":                 "there is no variable here: network.is_port",
		"port.vendor":                     "port.vendor is not compared with anything",
		"port.vendor = = 'x'":             "port.vendor is not compared with anything",
		"port.vendor == \"x\"":            "there is no text of letters",
		"port.vendor == 'a b'":            "there is no text of letters",
		"port.vendor == 'é'":              "there is no text of letters",
		"port.vendor == 'a":               "there is no text of letters",
		"port.vendor\v== 'a'":             "port.vendor is not compared with anything",
		"(port.is_port":                   "a ) is missing before: ",
		"port.is_port &&":                 "there is no variable here: ",
		"port.is_port & & port.is_port":   "nothing may follow here: & & port.is_port",
		strings.Repeat("(", 200) + "port": "parentheses nest too deep",
	} {
		if _, err := parseFilter(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	for _, text := range []string{"port.is_port", "port.vendor == 'a' && (network.tags =~ 'b' || port.is_portgroup)", "((", "port.", "'"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := parseFilter(text)
		if err != nil {
			return
		}
		empty := ""
		all := Candidate{Address: &empty, Category: &empty, PhysicalNetwork: &empty, Vendor: &empty}
		if _, err := filter.matches(all, Network{Name: &empty}); err != nil && store.KindOf(err) != store.TBNComparatorCollectionTypeMismatch {
			t.Errorf("%q: %v", text, err)
		}
	})
}
