package sql_test

import (
	stdsql "database/sql"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// A node has one inventory, the newest, whatever a machine calls itself.
func TestSaveInventory(t *testing.T) {
	beside(t, func(t *testing.T, db *sql.DB, raw *stdsql.DB, e engine) {
		db.UseVersions(map[string]string{"NodeInventory": "1.0"})
		n := createNode(t, db, nil)
		if none, err := db.LastInventory(t.Context(), n.ID); err != nil || none != nil {
			t.Errorf("before the first inspection: %v, %v", none, err)
		}
		for _, text := range []string{"old", "new \x00 🙈" + strings.Repeat("x", 30_000)} {
			if err := db.SaveInventory(t.Context(), n.ID, store.Dict{"system_vendor": store.Dict{"product_name": text}}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if count := query[int](t, raw, "SELECT COUNT(*) FROM node_inventory"); count != 1 {
			t.Errorf("%d rows", count)
		}
		kept, err := db.LastInventory(t.Context(), n.ID)
		if err != nil || kept == nil {
			t.Fatal(kept, err)
		}
		inventory := kept.InventoryData
		if !strings.HasPrefix(inventory.Dict("system_vendor").String("product_name"), "new \x00 🙈") {
			t.Errorf("inventory %.80v", inventory)
		}
		if row := query[string](t, raw, "SELECT CONCAT(plugin_data, ' ', version) FROM node_inventory"); row != "{} 1.0" {
			t.Errorf("plugin data and version %s", row)
		}
		if created := query[int](t, raw, "SELECT COUNT(*) FROM node_inventory WHERE created_at IS NOT NULL"); created != 1 {
			t.Error("the row does not tell when it was made")
		}
		if err := db.DestroyNode(t.Context(), n, sql.Guard{}); err != nil {
			t.Fatal(err)
		}
	})
}
