package sql_test

import (
	stdsql "database/sql"
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
		if db.Schema().HasColumn("firmware_information", "vendor") {
			if made := record("2.0", new("HPE")); *made.Vendor != "HPE" || *made.LastVersionFlashed != "2.0" {
				t.Errorf("with its maker: %+v", made)
			}
		}
	})
}
