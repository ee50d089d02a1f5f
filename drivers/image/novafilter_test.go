package image

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// TestNovaFilterAgrees holds the conductor to the cases that the tests of the Nova filter read too: what the scheduler lets
// pass must not fail here, nor the other way round.
func TestNovaFilterAgrees(t *testing.T) {
	text, err := os.ReadFile("../../deploy-examples/nova-filter/testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name string `json:"name"`
		// Properties are those of the Glance image, InstanceInfo is what Nova makes of the flavor.
		Properties   map[string]any `json:"properties"`
		InstanceInfo store.Dict     `json:"instance_info"`
		Kind         Kind           `json:"kind"`
		RefusedFor   []string       `json:"refused_for"`
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatal("there are no cases")
	}
	fields := map[string]string{"swap": "instance_info.swap_mb", "ephemeral": "instance_info.ephemeral_gb"}
	for i, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			glance := newFakeGlance(t)
			id := fmt.Sprintf("00000000-0000-0000-0000-%012d", i)
			glance.add(id, []byte("x"), c.Properties)
			s := newTestService(t, testConfig(t, glance))
			c.InstanceInfo["image_source"] = id
			decision, err := s.Kind(t.Context(), c.InstanceInfo, Requester{})
			if err != nil || decision.Kind != c.Kind {
				t.Fatalf("kind %q (%s), %v; want %q", decision.Kind, decision.Reason, err, c.Kind)
			}
			err = s.ValidateRootOnly(decision.Kind, c.InstanceInfo)
			if len(c.RefusedFor) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantKind(t, err, store.InvalidParameterValue, "Cannot deploy whole disk image with swap or ephemeral size set")
			for _, what := range []string{"swap", "ephemeral"} {
				if named := strings.Contains(err.Error(), fields[what]); named != slices.Contains(c.RefusedFor, what) {
					t.Errorf("%v; want it to be for %q", err, c.RefusedFor)
				}
			}
		})
	}
}
