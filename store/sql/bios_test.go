package sql_test

import (
	stdsql "database/sql"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

func TestBIOSSettingsAreReplaced(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		n, other := createNode(t, db, nil), createNode(t, db, nil)
		read := func(node *store.Node, want int) []*store.BIOSSetting {
			t.Helper()
			all, err := sql.SelectBy[store.BIOSSetting](t.Context(), db, "bios_settings", "name", sql.Equals("node_id", node.ID))
			if err != nil || len(all) != want {
				t.Fatalf("%d settings, %v; want %d", len(all), err, want)
			}
			return all
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(db.ReplaceBIOSSettings(t.Context(), other.ID, map[string]string{"BootMode": "Bios"}))
		must(db.ReplaceRegisteredBIOSSettings(t.Context(), n.ID, []store.BIOSSetting{
			{Name: "ProcCores", Value: new("8"), Type: new("Integer"), LowerBound: new(int64(1)), UpperBound: new(int64(64)),
				ReadOnly: new(false), ResetRequired: new(true), Unique: new(true)},
			{Name: "BootMode", Value: new("Uefi"), Type: new("Enumeration"), AllowableValues: []string{"Uefi", "Bios"}},
			{Name: "AssetTag", MinLength: new(int64(0)), MaxLength: new(int64(9))},
		}))
		all := read(n, 3)
		tag, mode, cores := all[0], all[1], all[2]
		if tag.Name != "AssetTag" || tag.Value != nil || *tag.MinLength != 0 || *tag.MaxLength != 9 || tag.Unique != nil {
			t.Errorf("read %+v", tag)
		}
		if *mode.Value != "Uefi" || *mode.Type != "Enumeration" || len(mode.AllowableValues) != 2 || mode.LowerBound != nil {
			t.Errorf("read %+v", mode)
		}
		if *cores.Value != "8" || *cores.LowerBound != 1 || *cores.UpperBound != 64 || *cores.ReadOnly || !*cores.ResetRequired ||
			!*cores.Unique || !cores.UpdatedAt.IsZero() {
			t.Errorf("read %+v", cores)
		}
		if text := query[string](t, raw, "SELECT allowable_values FROM bios_settings WHERE value = 'Uefi'"); text != `["Uefi", "Bios"]` {
			t.Errorf("the values are stored as %s", text)
		}

		wanted := map[string]string{"ProcCores": "4", "BootMode": "Uefi"}
		must(db.ReplaceBIOSSettings(t.Context(), n.ID, wanted))
		all = read(n, 2)
		if mode = all[0]; !mode.UpdatedAt.IsZero() || *mode.Type != "Enumeration" {
			t.Errorf("a setting that was right was written: %+v", mode)
		}
		changed := all[1]
		if *changed.Value != "4" || changed.UpdatedAt.IsZero() || !changed.CreatedAt.Equal(cores.CreatedAt) {
			t.Errorf("changed is %+v", changed)
		}
		must(db.ReplaceBIOSSettings(t.Context(), n.ID, wanted))
		if again := read(n, 2)[1]; !again.UpdatedAt.Equal(changed.UpdatedAt) {
			t.Errorf("written again at %v", again.UpdatedAt)
		}
		must(db.ReplaceBIOSSettings(t.Context(), n.ID, nil))
		read(n, 0)
		if *read(other, 1)[0].Value != "Bios" {
			t.Error("another node's setting changed")
		}
	})
}

// TestBIOSSettingsThatDoNotFit refuses what a BMC says and no column takes, by the setting's name, on each engine alike.
func TestBIOSSettingsThatDoNotFit(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		n := createNode(t, db, nil)
		long := strings.Repeat("n", 256)
		refused := map[string]store.BIOSSetting{
			`BIOS setting "` + long[:255] + `" cannot be stored: The value of name is too long`: {Name: long, Value: new("x")},
		}
		if e.name == "postgresql" {
			refused[`BIOS setting "BootMode" cannot be stored: The value of value holds a NUL character`] = store.BIOSSetting{Name: "BootMode", Value: new("U\x00")}
		}
		for want, one := range refused {
			err := db.ReplaceRegisteredBIOSSettings(t.Context(), n.ID, []store.BIOSSetting{one, {Name: "Good", Value: new("y")}})
			if store.KindOf(err) != store.InvalidParameterValue || !strings.HasPrefix(err.Error(), want) {
				t.Errorf("refused with %v, want %s", err, want)
			}
		}
		if got := query[int64](t, raw, "SELECT COUNT(*) FROM bios_settings"); got != 0 {
			t.Errorf("%d settings were written all the same", got)
		}
	})
}
