package sql_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestEnabledInterfaces(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		for _, host := range []string{"worker-1", "worker-2"} {
			c := &store.Conductor{Hostname: host}
			if _, err := db.Register(t.Context(), c, []store.HardwareInterface{
				{HardwareType: "redfish", InterfaceType: "power", InterfaceName: host, Default: host == "worker-1"},
				{HardwareType: "ipmi", InterfaceType: "power", InterfaceName: "ipmitool", Default: true}}); err != nil {
				t.Fatal(err)
			}
		}
		enabled := func(timeout time.Duration, hardware ...string) []string {
			t.Helper()
			found, err := db.EnabledInterfaces(t.Context(), hardware, timeout)
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, f := range found {
				all = append(all, fmt.Sprint(f.HardwareType, " ", f.InterfaceType, " ", f.InterfaceName, " ", f.Default))
			}
			return all
		}
		want := []string{"redfish power worker-1 true", "redfish power worker-2 false"}
		if got := enabled(time.Hour, "redfish", "snmp"); !slices.Equal(got, want) {
			t.Errorf("enabled %q, want %q", got, want)
		}
		if got := enabled(time.Hour, "redfish", "ipmi"); len(got) != 4 {
			t.Errorf("of two types %q", got)
		}
		if got := enabled(time.Hour); len(got) != 0 {
			t.Errorf("of no type %q", got)
		}
		if err := db.Touch(t.Context(), "worker-1", false); err != nil {
			t.Fatal(err)
		}
		if got := enabled(time.Hour, "redfish"); !slices.Equal(got, want[1:]) {
			t.Errorf("with one worker offline %q, want %q", got, want[1:])
		}
		if got := enabled(time.Second, "redfish"); len(got) != 0 {
			t.Errorf("with the other silent %q", got)
		}
	})
}

func TestShardsAreCounted(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		for _, shard := range []*string{new("a"), nil, new("a"), nil, nil, new("b")} {
			createNode(t, db, func(n *store.Node) { n.Shard = shard })
		}
		shards, err := db.Shards(t.Context())
		if err != nil || len(shards) != 3 {
			t.Fatalf("shards %v, %v", shards, err)
		}
		var got []string
		for _, s := range shards {
			name := "-"
			if s.Name != nil {
				name = *s.Name
			}
			got = append(got, fmt.Sprint(name, s.Count))
		}
		if want := []string{"-3", "a2", "b1"}; !slices.Equal(got, want) {
			t.Errorf("shards %q, want %q", got, want)
		}
	})
}
