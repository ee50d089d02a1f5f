package objects

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
)

// TestEveryReleaseHasUpstreamsVersions holds the tables against the mapping that ironic 39.0 uses for its own pins.
func TestEveryReleaseHasUpstreamsVersions(t *testing.T) {
	content, err := os.ReadFile("../testdata/release-mapping-39.0.json")
	if err != nil {
		t.Fatal(err)
	}
	var mapping map[string]struct {
		RPC     string
		Objects map[string]string
	}
	if err := json.Unmarshal(content, &mapping); err != nil {
		t.Fatal(err)
	}
	for name, upstream := range mapping {
		release, err := messaging.ParseRelease(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := release.RPCVersion(); got != upstream.RPC {
			t.Errorf("%s speaks RPC %s, want %s", name, got, upstream.RPC)
		}
		for object := range history {
			if got, want := Version(object, release), upstream.Objects[object]; got != want {
				t.Errorf("%s: %s is %q, want %q", name, object, got, want)
			}
		}
		for object := range upstream.Objects {
			if history[object] == nil {
				t.Errorf("%s: nothing is known of %s", name, object)
			}
		}
	}
}
