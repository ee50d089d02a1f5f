package conductor

import (
	"encoding/json"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
)

// TestNodeDoesNotBecomeItsOwnParent decodes what ironic-api 29.0.5 of Debian 13 sends for a PATCH of the description.
func TestNodeDoesNotBecomeItsOwnParent(t *testing.T) {
	codec, err := objects.New(messaging.V2025_1, 0)
	if err != nil {
		t.Fatal(err)
	}
	const uuid = "1b265f8f-f6cb-4b34-9804-a8a6a1952261"
	object, err := json.Marshal(map[string]any{
		"ironic_object.name": "Node", "ironic_object.namespace": "ironic", "ironic_object.version": "1.41",
		"ironic_object.data":    map[string]any{"uuid": uuid, "parent_node": uuid, "description": "rack 7"},
		"ironic_object.changes": []string{"description", "parent_node"},
	})
	if err != nil {
		t.Fatal(err)
	}
	node, changes, err := codec.DecodeNode(object)
	if err != nil {
		t.Fatal(err)
	}
	p := &patch{node: node, changes: changes}
	p.dropOwnParent()
	row := store.Node{UUID: uuid}
	store.CopyFields(&row, p.node, p.changes)
	if row.ParentNode != "" {
		t.Errorf("the node became the child of %s, itself", row.ParentNode)
	}
	if row.Description == nil || *row.Description != "rack 7" {
		t.Errorf("the description that was asked for is %v", row.Description)
	}
}
