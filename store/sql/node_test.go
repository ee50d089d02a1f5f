package sql_test

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestNodeComesBackAsItWasCreated(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := &store.Node{
			UUID: "1be26c0b-03f2-4d2e-ae87-c02d7f33c123", Name: new("rack1-u7"), Driver: "redfish",
			ConductorGroup: "rack1", ResourceClass: new("baremetal"), Owner: new(""),
			Properties: store.Dict{"local_gb": 10, "ü": nil, "deep": map[string]any{"list": []any{1, "zwei", true, 2.5}}},
			DriverInfo: store.Dict{"redfish_password": `quote " back \ percent % question ?`},
			PowerState: store.PowerOff, AutomatedClean: new(false), BIOSInterface: "no-bios",
		}
		if err := db.CreateNode(t.Context(), n); err != nil {
			t.Fatal(err)
		}
		got := readNode(t, db, n.UUID)
		if got.ID != n.ID || got.Version != "1.37" || got.ProvisionState != store.Enroll || *got.Retired ||
			!got.CreatedAt.Equal(n.CreatedAt) || !got.UpdatedAt.IsZero() || *got.Owner != "" || *got.AutomatedClean {
			t.Errorf("read back %+v", got)
		}
		if !reflect.DeepEqual(got.Snapshot, n.Snapshot) {
			t.Errorf("row read back as\n%v\nwritten as\n%v", got.Snapshot, n.Snapshot)
		}
		if byID, err := db.Node(t.Context(), "1"); err == nil && byID.UUID != n.UUID {
			t.Errorf("node 1 is %s", byID.UUID)
		}
		_, err := db.Node(t.Context(), "rack1-u7")
		wantKind(t, err, store.InvalidIdentity, "Expected a UUID or int but received rack1-u7.")
		_, err = db.Node(t.Context(), "00000000-0000-0000-0000-000000000000")
		wantKind(t, err, store.NodeNotFound, "Node 00000000-0000-0000-0000-000000000000 could not be found.")
	})
}

func TestDuplicateNodesAreNamed(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		const instance = "6817d0ab-bb5c-516f-b9c3-dbc072bbc98a"
		first := createNode(t, db, func(n *store.Node) { n.Name, n.InstanceUUID = new("n1"), instance })
		for _, test := range []struct {
			node    store.Node
			kind    store.Kind
			message string
		}{
			{store.Node{UUID: first.UUID}, store.NodeAlreadyExists, "A node with UUID " + first.UUID + " already exists."},
			{store.Node{Name: new("n1")}, store.DuplicateName, "A node with name n1 already exists."},
			{store.Node{UUID: "32ca34ea-a003-586a-9b56-4841ad9eabbf", InstanceUUID: instance}, store.InstanceAssociated,
				"Instance " + instance + " is already associated with a node, it cannot be associated with this other node " +
					"32ca34ea-a003-586a-9b56-4841ad9eabbf"},
		} {
			wantKind(t, db.CreateNode(t.Context(), &test.node), test.kind, test.message)
			if test.node.ID != 0 || test.node.Snapshot != nil {
				t.Error("a node that was not created looks as if it were")
			}
		}
		second := createNode(t, db, nil)
		second.InstanceUUID = instance
		wantKind(t, db.SaveNode(t.Context(), second, sql.Guard{}), store.InstanceAssociated,
			"Instance "+instance+" is already associated with a node, it cannot be associated with this other node "+second.UUID)
		second.InstanceUUID, second.Name = "", new("n1")
		wantKind(t, db.SaveNode(t.Context(), second, sql.Guard{}), store.DuplicateName, "A node with name n1 already exists.")
	})
}

func TestSaveWritesOnlyWhatChanged(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		other := readNode(t, db, n.UUID)
		other.Extra = store.Dict{"written": "by another"}
		if err := db.SaveNode(t.Context(), other, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		n.PowerState = store.PowerOn
		if err := db.SaveNode(t.Context(), n, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		got := readNode(t, db, n.UUID)
		if got.PowerState != store.PowerOn || got.Extra["written"] != "by another" {
			t.Errorf("power state %q, extra %v", got.PowerState, got.Extra)
		}
		if !got.UpdatedAt.Equal(n.UpdatedAt) || !got.UpdatedAt.After(other.UpdatedAt) {
			t.Errorf("updated_at %v, want %v", got.UpdatedAt, n.UpdatedAt)
		}
		if err := db.SaveNode(t.Context(), n, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		if again := readNode(t, db, n.UUID); !again.UpdatedAt.Equal(got.UpdatedAt) {
			t.Error("saving a node without changes touches the row")
		}
	})
}

func TestProvisionStateCarriesItsTimes(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		for _, step := range []struct {
			state             string
			started, finished bool
		}{
			{store.Manageable, false, false},
			{store.Inspecting, true, false},
			{store.InspectWait, true, false},
			{store.Manageable, false, true},
			{store.Inspecting, true, false},
			{store.InspectFail, false, false},
		} {
			before := n.ProvisionUpdatedAt
			n.ProvisionState = step.state
			if err := db.SaveNode(t.Context(), n, sql.Guard{}); err != nil {
				t.Fatal(err)
			}
			got := readNode(t, db, n.UUID)
			if !got.ProvisionUpdatedAt.After(before) || !got.ProvisionUpdatedAt.Equal(n.ProvisionUpdatedAt) ||
				!got.InspectionStartedAt.Equal(n.InspectionStartedAt) || !got.InspectionFinishedAt.Equal(n.InspectionFinishedAt) ||
				got.InspectionStartedAt.IsZero() == step.started || got.InspectionFinishedAt.IsZero() == step.finished {
				t.Errorf("%s: provision_updated_at %v, inspection from %v to %v", step.state, got.ProvisionUpdatedAt,
					got.InspectionStartedAt, got.InspectionFinishedAt)
			}
		}
		if err := db.TouchProvisioning(t.Context(), n.ID); err != nil {
			t.Fatal(err)
		}
		if again := readNode(t, db, n.UUID); !again.ProvisionUpdatedAt.After(n.ProvisionUpdatedAt) {
			t.Error("provision_updated_at was not touched")
		}
	})
}

func TestGuardKeepsALostLockFromWriting(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		n, err := db.Reserve(t.Context(), n.UUID, "worker-1")
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			guard sql.Guard
			why   string
		}{
			{sql.Guard{Reservation: "worker-2", ProvisionState: store.Enroll}, `the reservation is "worker-1" instead of "worker-2"`},
			{sql.Guard{Reservation: "worker-1", ProvisionState: store.Active}, `the provision state is "enroll" instead of "active"`},
		} {
			n.LastError = "must not be written"
			err := db.SaveNode(t.Context(), n, test.guard)
			if !errors.Is(err, store.ErrLockLost) || !strings.Contains(err.Error(), test.why) {
				t.Errorf("error %v, want a lost lock because %s", err, test.why)
			}
			if err := db.SetTraits(t.Context(), n, test.guard, []string{"CUSTOM_A"}); !errors.Is(err, store.ErrLockLost) {
				t.Errorf("setting traits: %v", err)
			}
			if err := db.DestroyNode(t.Context(), n, test.guard); !errors.Is(err, store.ErrLockLost) {
				t.Errorf("deleting: %v", err)
			}
		}
		held := sql.Guard{Reservation: "worker-1", ProvisionState: store.Enroll}
		if got := readNode(t, db, n.UUID); got.LastError != "" || len(got.Traits) != 0 {
			t.Errorf("last_error %q, traits %v", got.LastError, got.Traits)
		}
		// The same value twice within a second must not look like a lost lock (MySQL counts changed rows by default).
		twin := *n
		twin.Snapshot = maps.Clone(n.Snapshot)
		for _, same := range []*store.Node{n, &twin} {
			same.LastError = "the same"
			if err := db.SaveNode(t.Context(), same, held); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.DestroyNode(t.Context(), n, held); err != nil {
			t.Fatal(err)
		}
		n.LastError = "too late"
		if err := db.SaveNode(t.Context(), n, held); !errors.Is(err, store.ErrLockLost) {
			t.Errorf("saving a node that is gone: %v", err)
		}
	})
}

func TestValuesThatDoNotFitAreNamed(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		n.ProvisionState = "a state longer than fifteen"
		err := db.SaveNode(t.Context(), n, sql.Guard{})
		wantKind(t, err, store.InvalidParameterValue,
			"The value of provision_state is too long for its column: it has 27 characters, the database takes 15.")
		if !errors.Is(err, sql.ErrTooLong) {
			t.Error("the cause is not ErrTooLong")
		}
		n.ProvisionState = store.Enroll
		// What a BMC sends must be reported, whatever it is.
		n.LastError = "BMC said \x00 \xff 🙈 " + strings.Repeat("x", 100_000) + " end"
		if err := db.SaveNode(t.Context(), n, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
		got := readNode(t, db, n.UUID)
		if !strings.HasPrefix(got.LastError, "BMC said") || !strings.HasSuffix(got.LastError, "end") {
			t.Errorf("last_error is %.40q of %d bytes", got.LastError, len(got.LastError))
		}
	})
}

func TestUUIDStays(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		n.UUID = "00000000-0000-0000-0000-000000000001"
		wantKind(t, db.SaveNode(t.Context(), n, sql.Guard{}), store.InvalidParameterValue,
			"Cannot overwrite UUID for an existing Node.")
	})
}

func TestTraits(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		n := createNode(t, db, nil)
		if err := db.SetTraits(t.Context(), n, sql.Guard{}, []string{"CUSTOM_B", "CUSTOM_A", "CUSTOM_B"}); err != nil {
			t.Fatal(err)
		}
		if err := db.AddTraits(t.Context(), n, sql.Guard{}, []string{"CUSTOM_A", "CUSTOM_C"}); err != nil {
			t.Fatal(err)
		}
		err := db.RemoveTraits(t.Context(), n, sql.Guard{}, []string{"CUSTOM_A", "CUSTOM_ZZZ"})
		wantKind(t, err, store.NodeTraitNotFound, "Node "+itoa(n.ID)+" doesn't have a trait 'CUSTOM_ZZZ'")
		if err := db.RemoveTraits(t.Context(), n, sql.Guard{}, []string{"CUSTOM_B"}); err != nil {
			t.Fatal(err)
		}
		want := []string{"CUSTOM_A", "CUSTOM_C"}
		if got := readNode(t, db, n.UUID).Traits; !reflect.DeepEqual(got, want) || !reflect.DeepEqual(n.Traits, want) {
			t.Errorf("traits are %v, the node in memory has %v", got, n.Traits)
		}
		var many []string
		for i := range int64(51) {
			many = append(many, "CUSTOM_"+itoa(i))
		}
		wantKind(t, db.SetTraits(t.Context(), n, sql.Guard{}, many), store.InvalidParameterValue, "Could not modify traits for node "+
			itoa(n.ID)+" as it would exceed the maximum number of traits per node (51 vs. 50)")
	})
}
