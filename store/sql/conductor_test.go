package sql_test

import (
	"errors"
	"reflect"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/ring"
	"github.com/ironmaster/ironmaster/store/sql"
	"github.com/ironmaster/ironmaster/store/sql/sqltest"
)

func TestRegisterShowsAConductorToItsPeers(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		c := &store.Conductor{Hostname: "worker-1", ConductorGroup: "Rack1", Drivers: []string{"redfish", "fake-hardware"}}
		interfaces := []store.HardwareInterface{
			{HardwareType: "redfish", InterfaceType: "boot", InterfaceName: "redfish-virtual-media", Default: true},
			{HardwareType: "redfish", InterfaceType: "boot", InterfaceName: "pxe"},
			{HardwareType: "fake-hardware", InterfaceType: "boot", InterfaceName: "fake", Default: true},
		}
		if replaced, err := db.Register(t.Context(), c, interfaces); err != nil || replaced {
			t.Fatalf("replaced %v, %v", replaced, err)
		}
		got, err := db.Conductor(t.Context(), "worker-1")
		if err != nil {
			t.Fatal(err)
		}
		if got.ID != c.ID || got.ConductorGroup != "rack1" || got.Version != "1.3" || !got.Online || got.UpdatedAt.IsZero() ||
			!reflect.DeepEqual(got.Drivers, []string{"fake-hardware", "redfish"}) {
			t.Errorf("registered %+v", got)
		}
		want := []ring.Member{{Hostname: "worker-1", Group: "rack1", HardwareTypes: []string{"fake-hardware", "redfish"}}}
		if members, err := db.OnlineConductors(t.Context(), time.Hour); err != nil || !reflect.DeepEqual(members, want) {
			t.Errorf("members %v, %v; want %v", members, err, want)
		}

		again := &store.Conductor{Hostname: "worker-1", Drivers: []string{"redfish"}}
		if replaced, err := db.Register(t.Context(), again, interfaces[:1]); err != nil || !replaced || again.ID != c.ID ||
			!again.CreatedAt.Equal(got.CreatedAt) {
			t.Errorf("registering again: replaced %v, %v, %+v", replaced, err, again)
		}
		want = []ring.Member{{Hostname: "worker-1", HardwareTypes: []string{"redfish"}}}
		if members, err := db.OnlineConductors(t.Context(), time.Hour); err != nil || !reflect.DeepEqual(members, want) {
			t.Errorf("members %v, %v; want %v", members, err, want)
		}
	})
}

func TestRegisterDoesAllOrNothing(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		twice := store.HardwareInterface{HardwareType: "redfish", InterfaceType: "boot", InterfaceName: "pxe"}
		_, err := db.Register(t.Context(), &store.Conductor{Hostname: "worker-1"}, []store.HardwareInterface{twice, twice})
		if store.KindOf(err) != store.ConductorInterfacesRegistered {
			t.Errorf("registering an interface twice: %v", err)
		}
		_, err = db.Conductor(t.Context(), "worker-1")
		wantKind(t, err, store.ConductorNotFound, "Conductor worker-1 could not be found.")
	})
}

func TestSignsOfLife(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		for _, host := range []string{"worker-1", "worker-2", "worker-3"} {
			if _, err := db.Register(t.Context(), &store.Conductor{Hostname: host}, nil); err != nil {
				t.Fatal(err)
			}
		}
		// The test's clock advances by a minute with each look: worker-1 falls behind.
		for range 10 {
			for _, host := range []string{"worker-2", "worker-3"} {
				if err := db.Touch(t.Context(), host, host == "worker-2"); err != nil {
					t.Fatal(err)
				}
			}
		}
		members, err := db.OnlineConductors(t.Context(), 10*time.Minute)
		if want := []ring.Member{{Hostname: "worker-2"}}; err != nil || !reflect.DeepEqual(members, want) {
			t.Errorf("online: %v, %v; want %v", members, err, want)
		}
		offline, err := db.OfflineConductors(t.Context(), 10*time.Minute)
		if err != nil || len(offline) != 1 || offline[0].Hostname != "worker-1" {
			t.Errorf("offline: %v, %v; want worker-1", offline, err)
		}
		wantKind(t, db.Touch(t.Context(), "stranger", true), store.ConductorNotFound, "Conductor stranger could not be found.")
	})
}

// A worker whose connections all wait for somebody's slow transaction still shows that it lives.
func TestSignsOfLifeHaveAConnectionOfTheirOwn(t *testing.T) {
	waiting := map[string]string{
		"mariadb":    "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'UPDATE nodes SET%'",
		"postgresql": "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE nodes SET%'",
	}
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			const connections = 2
			url := e.url(t)
			db := sqltest.OpenAt(t, url, func(cfg *sql.Config) { cfg.MaxPoolSize, cfg.MaxOverflow = 1, connections-1 })
			if _, err := db.Register(t.Context(), &store.Conductor{Hostname: "worker-1"}, nil); err != nil {
				t.Fatal(err)
			}
			n := createNode(t, db, nil)
			raw := direct(t, e, url)
			rival, err := raw.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			mustExec(t, rival, "UPDATE nodes SET description = 'x'")
			var stuck errgroup.Group
			for range connections {
				stuck.Go(func() error { return db.TouchProvisioning(t.Context(), n.ID) })
			}
			for query[int](t, raw, waiting[e.name]) < connections {
				runtime.Gosched()
			}
			if err := db.Touch(t.Context(), "worker-1", true); err != nil {
				t.Error(err)
			}
			if got := query[int](t, raw, waiting[e.name]); got != connections {
				t.Errorf("%d statements waited meanwhile, want %d", got, connections)
			}
			if err := errors.Join(rival.Rollback(), stuck.Wait()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestUnregisterHidesAConductor(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, db *sql.DB, e engine) {
		_, err := db.Register(t.Context(), &store.Conductor{Hostname: "worker-1"}, []store.HardwareInterface{
			{HardwareType: "redfish", InterfaceType: "boot", InterfaceName: "pxe"},
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := db.Unregister(t.Context(), "worker-1"); err != nil {
				t.Fatal(err)
			}
		}
		if members, err := db.OnlineConductors(t.Context(), time.Hour); err != nil || len(members) != 0 {
			t.Errorf("members %v, %v", members, err)
		}
		if c, err := db.Conductor(t.Context(), "worker-1"); err != nil || c.Online {
			t.Errorf("conductor %+v, %v", c, err)
		}
		wantKind(t, db.Unregister(t.Context(), "stranger"), store.ConductorNotFound, "Conductor stranger could not be found.")
	})
}
