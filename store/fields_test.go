package store

import (
	"testing"
	"time"
)

func TestChangesNamesWhatDiffersFromTheSnapshot(t *testing.T) {
	name, now := "rack-7", time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	n := &Node{UUID: "u", Name: &name, Properties: Dict{"a": "1"}, ProvisionUpdatedAt: now}
	snapshot, err := TakeSnapshot(n)
	if err != nil {
		t.Fatal(err)
	}
	if changes, err := Changes(n, snapshot); err != nil || len(changes) != 0 {
		t.Errorf("nothing changed, yet %v, %v", changes, err)
	}
	other := "rack-8"
	n.Name, n.LastError, n.ProvisionUpdatedAt = &other, "broken", now.In(time.FixedZone("", 3600))
	n.Properties["a"] = "2"
	changes, err := Changes(n, snapshot)
	if err != nil {
		t.Fatal(err)
	}
	want := Snapshot{"name": "rack-8", "last_error": "broken", "properties": `{"a": "2"}`}
	if len(changes) != len(want) {
		t.Errorf("changes are %v, want %v", changes, want)
	}
	for column, value := range want {
		if changes[column] != value {
			t.Errorf("%s changed to %v, want %v", column, changes[column], value)
		}
	}
}

func TestColumnsTellNullFromEmpty(t *testing.T) {
	empty := ""
	snapshot, err := TakeSnapshot(&Node{Description: &empty})
	if err != nil {
		t.Fatal(err)
	}
	for column, want := range map[string]any{
		"description": "", "owner": nil, "last_error": nil, "conductor_group": "", "extra": "{}", "automated_clean": nil,
		"maintenance": false, "provision_updated_at": nil,
	} {
		if got := snapshot[column]; got != want {
			t.Errorf("column %s holds %v, want %v", column, got, want)
		}
	}
}

func TestCopyFieldsCopiesOnlyTheNamedOnes(t *testing.T) {
	from := &Node{Driver: "redfish", Extra: Dict{"k": map[string]any{"deep": "v"}}, LastError: "stale"}
	to := &Node{Driver: "fake-hardware", LastError: "fresh"}
	CopyFields(to, from, []string{"driver", "extra", "unknown"})
	if to.Driver != "redfish" || to.LastError != "fresh" {
		t.Errorf("driver is %q, last_error %q", to.Driver, to.LastError)
	}
	to.Extra.Dict("k")["deep"] = "changed"
	if from.Extra.Dict("k").String("deep") != "v" {
		t.Error("the copy shares memory with its source")
	}
}
