package redfish

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// golden reads what Python made of something.
func golden(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// What parse_driver_info of 21.4, 29.0 and 39.0 makes of addresses, but for what is known before an @: it is not kept.
func TestAddresses(t *testing.T) {
	var all map[string]struct {
		Address string
		Prefix  string `json:"root_prefix"`
		Error   string
	}
	golden(t, "addresses.json", &all)
	for text, want := range all {
		info, err := store.ParseDict([]byte(`{"redfish_address": ` + text + `}`))
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseDriverInfo(&store.Node{UUID: "node-1", DriverInfo: info}, DefaultConfig())
		if want.Error != "" {
			if at := strings.LastIndexByte(want.Error, '@'); at >= 0 {
				want.Error = want.Error[at+1:]
			}
			if err == nil || !strings.HasSuffix(err.Error(), want.Error) {
				t.Errorf("%s: %v, want %s", text, err, want.Error)
			}
			continue
		}
		scheme, place, _ := strings.Cut(want.Address, "://")
		place = place[strings.LastIndexByte(place, '@')+1:]
		if wanted := strings.ToLower(scheme) + "://" + place; err != nil || got.address != wanted {
			t.Errorf("%s: %q (%v), want %q", text, got.address, err, wanted)
		}
		if wanted := strings.Trim(want.Prefix, "/"); strings.Trim(got.prefix, "/") != wanted {
			t.Errorf("%s: prefix %q, want %q", text, got.prefix, wanted)
		}
	}
}

// What OpenSSL 3.0 chooses, of the ciphers that Go has.
func TestCiphers(t *testing.T) {
	names := map[uint16]string{}
	for _, s := range suites {
		names[s.id] = s.name
	}
	var all map[string][]string
	golden(t, "ciphers.json", &all)
	for list, want := range all {
		got := map[string]bool{}
		for _, id := range chooseCiphers(list) {
			got[names[id]] = true
		}
		for _, name := range want {
			if !got[name] {
				t.Errorf("%q does not choose %s", list, name)
			}
			delete(got, name)
		}
		for name := range got {
			t.Errorf("%q chooses %s", list, name)
		}
	}
}

func FuzzCiphers(f *testing.F) {
	for _, seed := range []string{"HIGH:!aNULL", "ECDHE+AESGCM", "!!", "+", "-:@", "ALL:-", ":", "AES+"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, list string) {
		if chosen := chooseCiphers(list); len(chosen) > len(suites) {
			t.Errorf("%q chooses %d of %d ciphers", list, len(chosen), len(suites))
		}
	})
}
