package conductor

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/sql"
)

// The traits of nodes, and lists of them, as others read and write them.
var (
	traitClass = remoteClass{methods: map[string]remoteMethod{
		"exists":  {params: []string{"node_id", "trait"}, required: 2, run: traitExists},
		"destroy": {params: []string{"node_id", "trait"}, required: 2, run: destroyTrait},
	}, actions: map[string]remoteAction{"create": createTrait}}
	traitListClass = remoteClass{methods: map[string]remoteMethod{
		"get_by_node_id": {params: []string{"node_id"}, required: 1, run: listTraits},
		"create":         {params: []string{"node_id", "traits"}, required: 2, run: createTraits},
		"destroy":        {params: []string{"node_id"}, required: 1, run: destroyTraits},
	}}
)

// nodeOf is the node whose number an argument holds. Unlike elsewhere, its UUID is not taken.
func (a boundArgs) nodeOf(ctx context.Context, c *Conductor) (*store.Node, error) {
	value, err := a.scalar("node_id")
	if err != nil {
		return nil, err
	}
	if text, isText := value.(string); isText {
		if column, id := identColumn(text, nil); column == "id" {
			value = id
		}
	}
	id, isNumber := value.(int64)
	if !isNumber {
		return nil, nodeKind.missing(value)
	}
	return nodeKind.by(ctx, c, "id", id)
}

// sentNode is the node whose number an object carries.
func sentNode(ctx context.Context, c *Conductor, sent *objects.Sent) (*store.Node, error) {
	return boundArgs{values: map[string]json.RawMessage{"node_id": sent.Data["node_id"]}}.nodeOf(ctx, c)
}

// partOf is the name of a part of a node, such as a BIOS setting, and the node.
func (a boundArgs) partOf(ctx context.Context, c *Conductor) (n *store.Node, name string, err error) {
	if err := a.read("name", &name); err != nil {
		return nil, "", err
	}
	n, err = a.nodeOf(ctx, c)
	return n, name, err
}

// traitArg is the argument trait.
func (a boundArgs) traitArg() (string, error) {
	var trait string
	err := a.read("trait", &trait)
	return trait, err
}

func traitExists(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	trait, err := a.traitArg()
	if err != nil {
		return nil, err
	}
	n, err := a.nodeOf(ctx, c)
	if err != nil {
		return nil, err
	}
	return slices.Contains(n.Traits, trait), nil
}

func destroyTrait(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	trait, err := a.traitArg()
	if err != nil {
		return nil, err
	}
	n, err := a.nodeOf(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, c.db.RemoveTraits(ctx, n, sql.Guard{}, []string{trait})
}

func listTraits(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	n, err := a.nodeOf(ctx, c)
	if err != nil {
		return nil, err
	}
	return traitList(ctx, c, a, n)
}

func traitList(ctx context.Context, c *Conductor, a boundArgs, n *store.Node) (any, error) {
	found, err := sql.SelectBy[store.Trait](ctx, c.db, "node_traits", "trait", sql.Equals("node_id", n.ID))
	if err != nil {
		return nil, err
	}
	return encodeList(c, a, "TraitList", "Trait", found), nil
}

// encodeList is an object that is nothing but a list of others, at the versions that the caller wants.
func encodeList[T any](c *Conductor, a boundArgs, list, name string, found []*T) *objects.Object {
	elements := make([]*objects.Object, len(found))
	for i, one := range found {
		elements[i] = c.codec.EncodeAt(name, c.codec.Own(name, a.versions[name]), one)
	}
	return c.codec.List(list, a.version, elements)
}

func createTraits(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	var traits []string
	if err := a.read("traits", &traits); err != nil {
		return nil, err
	}
	n, err := a.nodeOf(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := c.db.SetTraits(ctx, n, sql.Guard{}, traits); err != nil {
		return nil, err
	}
	return traitList(ctx, c, a, n)
}

func destroyTraits(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	n, err := a.nodeOf(ctx, c)
	if err != nil {
		return nil, err
	}
	return nil, c.db.SetTraits(ctx, n, sql.Guard{}, nil)
}

// createTrait gives a node a trait; that it has it already is no failure.
func createTrait(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	var trait store.Trait
	if err := sent.Into(&trait); err != nil {
		return nil, err
	}
	n, err := sentNode(ctx, c, sent)
	if err != nil {
		return nil, err
	}
	present := slices.Contains(n.Traits, trait.Trait)
	if err := c.db.AddTraits(ctx, n, sql.Guard{}, []string{trait.Trait}); err != nil {
		return nil, err
	}
	if !present {
		found, err := sql.SelectBy[store.Trait](ctx, c.db, "node_traits", "trait", sql.Equals("node_id", n.ID))
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			if one.Trait == trait.Trait {
				trait = *one
			}
		}
	}
	return c.codec.EncodeAt("Trait", "", &trait).Data, nil
}
