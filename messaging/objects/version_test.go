package objects

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
)

// mapping is ironic's own: what a release can be pinned to, by name.
type mapping map[string]struct {
	RPC     string
	Objects map[string]string
}

func readMappings(t *testing.T) map[string]mapping {
	t.Helper()
	content, err := os.ReadFile("../testdata/release-mappings.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]mapping
	if err := json.Unmarshal(content, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// corrected tells that newer releases have another version in their mapping than those before: 21.3 wrote port groups at 1.5.
func corrected(own, pin messaging.Release, object string) bool {
	return own == messaging.Newest && pin == messaging.V21_3 && object == "Portgroup"
}

// TestEachPinHasUpstreamsVersions holds the codec of every recorded release, under every pin that it takes, against that release's own
// mapping: the version of each object, in rows and on the wire, is that of the pin, or its own where the pin does not have the object.
func TestEachPinHasUpstreamsVersions(t *testing.T) {
	for own, pins := range readMappings(t) {
		release, err := messaging.ParseRelease(own)
		if err != nil {
			t.Fatal(err)
		}
		for name, upstream := range pins {
			pin, err := messaging.ParseRelease(name)
			if err != nil {
				t.Errorf("%s pinned to %s: %v", own, name, err)
				continue
			}
			if got := pin.RPCVersion(); got != upstream.RPC {
				t.Errorf("%s speaks RPC %s, want %s", name, got, upstream.RPC)
			}
			c, err := New(release, pin)
			if err != nil {
				t.Errorf("%s pinned to %s: %v", own, name, err)
				continue
			}
			for object := range history {
				want, known := upstream.Objects[object]
				if !known {
					want = pins[own].Objects[object]
				}
				if got := c.Version(object); got != want && !corrected(release, pin, object) {
					t.Errorf("%s pinned to %s: %s is %q, want %q", own, name, object, got, want)
				}
			}
			for object := range upstream.Objects {
				if history[object] == nil {
					t.Errorf("%s: nothing is known of %s", name, object)
				}
			}
		}
	}
}

// TestPinsAreUpstreams refuses what ironic refuses: releases that there never were, or that are newer.
func TestPinsAreUpstreams(t *testing.T) {
	for own, pins := range readMappings(t) {
		release, err := messaging.ParseRelease(own)
		if err != nil {
			t.Fatal(err)
		}
		for major := range 100 {
			for minor := range 100 {
				pin := messaging.Release(major*100 + minor)
				_, want := pins[pin.String()]
				parsed, err := messaging.ParseRelease(pin.String())
				if err == nil {
					_, err = New(release, parsed)
				}
				if taken := err == nil; taken != want {
					t.Errorf("%s pinned to %s: taken is %v, want %v (%v)", own, pin, taken, want, err)
				}
			}
		}
	}
}
