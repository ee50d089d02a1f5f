package conductor

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// TestPagesAdjoin reads ports one by one, each page beginning where the object of the page before stood: by a time, which the object
// tells in whole seconds, too.
func TestPagesAdjoin(t *testing.T) {
	w := startWorker(t, nil)
	n := w.enroll(t, nil)
	var want []string
	for i := range 3 {
		p := &store.Port{NodeID: n.ID, Address: fmt.Sprintf("52:54:00:77:00:%02x", i)}
		if err := w.db.CreatePort(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		want = append(want, p.UUID)
	}
	for _, direction := range []string{"asc", "desc"} {
		for _, key := range []string{"id", "created_at", "address", "updated_at"} {
			var got []string
			kwargs := map[string]any{"node_id": n.ID, "limit": 1, "sort_key": key, "sort_dir": direction}
			for range len(want) + 1 {
				var page []json.RawMessage
				if err := json.Unmarshal(w.must(t, "object_class_action_versions", map[string]any{"objname": "Port", "objmethod": "list_by_node_id",
					"object_versions": map[string]any{"Port": "1.11"}, "args": []any{}, "kwargs": kwargs}), &page); err != nil {
					t.Fatal(err)
				}
				if len(page) == 0 {
					break
				}
				port, _, err := w.codec.DecodePort(page[0])
				if err != nil {
					t.Fatal(err)
				}
				got, kwargs["marker"] = append(got, port.UUID), page[0]
			}
			if direction == "desc" {
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("by %s, %s: ports %q, want %q", key, direction, got, want)
			}
		}
	}
}
