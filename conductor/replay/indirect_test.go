package replay

import (
	"maps"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// indirectOutcomes is what Debian's conductor did for an ironic-api without a database.
const indirectOutcomes = "indirect-39.0.jsonl"

// TestWithoutDatabase asks an ironic-api that reaches no database (use_rpc_for_database, since 32.0), so that all it reads and writes
// goes through the conductor. Cases and outcomes are as those of own_test.go, recorded on 39.0.
func TestWithoutDatabase(t *testing.T) {
	version, err := lab.NewForTest(t, lab.Options{}).IronicVersion()
	if err != nil {
		t.Fatal(err)
	}
	place, err := recordedRelease(version)
	if err != nil {
		t.Fatal(err)
	}
	if releases[place].name != "39.0" {
		return // There is no such ironic-api.
	}
	w := start(t, nil, options{"DEFAULT": {"use_rpc_for_database": "true"}, "database": {"connection": "sqlite:////nonexistent/ironic.sqlite"}})
	var own ownCases
	w.read(t, "indirect.json", &own)
	s, asked := own.setups(), slices.Sorted(maps.Keys(own.Cases))
	if w.recording() {
		w.recordOwn(t, indirectOutcomes, own, s, asked)
		return
	}
	outcomes, differences := w.outcomes(t, indirectOutcomes), w.differences(t)
	tally{what: "cases without a database"}.run(t, asked, func(name string) outcome {
		outcome, ok := outcomes[name]
		if !ok {
			t.Errorf("%s: nobody recorded what upstream does", name)
			return different
		}
		c := trial{asked: own.Cases[name].asRecording(name), want: w.expectation(t, outcome)}
		// What is asked of the conductor for one request of a user is between the two; what comes of it is compared.
		c.want.Request = nil
		return w.replay(t, s, c, differences[name], differences["*"])
	})
}
