package sql_test

import (
	stdsql "database/sql"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestFirmwareIsRecorded(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, _ *stdsql.DB, _ engine) {
		if !db.Schema().HasTable("firmware_information") {
			if err := db.RecordFirmware(t.Context(), 1, nil); err == nil {
				t.Error("firmware was recorded where there is no table for it")
			}
			return
		}
		n := createNode(t, db, nil)
		record := func(version string, maker *string) *store.FirmwareComponent {
			t.Helper()
			err := db.RecordFirmware(t.Context(), n.ID, []store.FirmwareComponent{{Component: "bios", CurrentVersion: &version, Vendor: maker}})
			if err != nil {
				t.Fatal(err)
			}
			found, err := db.FirmwareComponent(t.Context(), n.ID, "bios")
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		first := record("1.0", nil)
		if first.InitialVersion != "1.0" || *first.CurrentVersion != "1.0" || first.LastVersionFlashed != nil || !first.UpdatedAt.IsZero() {
			t.Errorf("found first: %+v", first)
		}
		if again := record("1.0", nil); !again.UpdatedAt.IsZero() {
			t.Errorf("what was right was written: %+v", again)
		}
		newer := record("2.0", nil)
		if newer.InitialVersion != "1.0" || *newer.CurrentVersion != "2.0" || *newer.LastVersionFlashed != "2.0" || newer.UpdatedAt.IsZero() {
			t.Errorf("after an update: %+v", newer)
		}
		checkOddFirmware(t, db, n.ID)
		if db.Schema().HasColumn("firmware_information", "vendor") {
			if made := record("2.0", new("HPE")); *made.Vendor != "HPE" || *made.LastVersionFlashed != "2.0" {
				t.Errorf("with its maker: %+v", made)
			}
		}
	})
}

// checkOddFirmware records what machines tell that a database does not take as it is.
func checkOddFirmware(t *testing.T, db *sql.DB, node int64) {
	t.Helper()
	odd := "x\x00" + strings.Repeat("y", 300)
	err := db.RecordFirmware(t.Context(), node, []store.FirmwareComponent{{Component: "nic:1", CurrentVersion: new("1.1")},
		{Component: "nic:1", CurrentVersion: new("1.2")}, {Component: "nic:" + odd, CurrentVersion: &odd}})
	if err != nil {
		t.Fatal(err)
	}
	if card, err := db.FirmwareComponent(t.Context(), node, "nic:1"); err != nil || *card.CurrentVersion != "1.1" {
		t.Errorf("a card with two controllers: %+v, %v", card, err)
	}
	cut, err := db.FirmwareComponent(t.Context(), node, "nic:x\uFFFD"+strings.Repeat("y", 249))
	if err != nil || *cut.CurrentVersion != "x\uFFFD"+strings.Repeat("y", 253) {
		t.Errorf("what does not fit: %+v, %v", cut, err)
	}
}

// The schema that the other test has without services knows no firmware.
func TestOddFirmwareIsMadeToFit(t *testing.T) {
	url := sqlite.url(t)
	_, err := direct(t, sqlite, url).Exec("CREATE TABLE firmware_information (id INTEGER PRIMARY KEY, created_at DATETIME, updated_at DATETIME, " +
		"node_id INTEGER NOT NULL, component VARCHAR(255) NOT NULL, initial_version VARCHAR(255) NOT NULL, current_version VARCHAR(255), " +
		"last_version_flashed VARCHAR(255), version VARCHAR(15), UNIQUE (node_id, component))")
	if err != nil {
		t.Fatal(err)
	}
	db := open(t, engine{"sqlite", func(*testing.T) string { return url }, sqlite.precision}, nil)
	checkOddFirmware(t, db, createNode(t, db, nil).ID)
}
