package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store"
)

// The traits of runbooks, and lists of them, as others read and write them.
var (
	runbookTraitClass = remoteClass{methods: map[string]remoteMethod{
		"exists":  {params: []string{"runbook_id", "trait"}, required: 2, run: runbookTraitExists},
		"destroy": {params: []string{"runbook_id", "trait"}, required: 2, run: destroyRunbookTrait},
	}, actions: map[string]remoteAction{"create": createRunbookTrait}}
	runbookTraitListClass = remoteClass{methods: map[string]remoteMethod{
		"get_by_runbook_id": {params: []string{"runbook_id"}, required: 1, run: listRunbookTraits},
		"create":            {params: []string{"runbook_id", "traits"}, required: 2, run: createRunbookTraits},
		"destroy":           {params: []string{"runbook_id"}, required: 1, run: destroyRunbookTraits},
	}}
)

// runbookArg is the number of a runbook.
func (a boundArgs) runbookArg() (int64, error) {
	var id int64
	err := a.read("runbook_id", &id)
	return id, err
}

func runbookTraitExists(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	trait, err := a.traitArg()
	if err != nil {
		return nil, err
	}
	found, err := runbookTraits(ctx, c, a)
	for _, one := range found {
		if one.Trait == trait {
			return true, nil
		}
	}
	return false, err
}

func runbookTraits(ctx context.Context, c *Conductor, a boundArgs) ([]*store.RunbookTrait, error) {
	id, err := a.runbookArg()
	if err != nil {
		return nil, err
	}
	return c.db.RunbookTraits(ctx, id)
}

func destroyRunbookTrait(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	trait, err := a.traitArg()
	if err != nil {
		return nil, err
	}
	id, err := a.runbookArg()
	if err != nil {
		return nil, err
	}
	return nil, c.db.RemoveRunbookTrait(ctx, id, trait)
}

func listRunbookTraits(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	found, err := runbookTraits(ctx, c, a)
	if err != nil {
		return nil, err
	}
	return encodeList(c, a, "RunbookTraitList", "RunbookTrait", found), nil
}

func createRunbookTraits(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	var traits []string
	if err := a.read("traits", &traits); err != nil {
		return nil, err
	}
	id, err := a.runbookArg()
	if err != nil {
		return nil, err
	}
	if err := c.db.SetRunbookTraits(ctx, id, traits); err != nil {
		return nil, err
	}
	return listRunbookTraits(ctx, c, a)
}

func destroyRunbookTraits(ctx context.Context, c *Conductor, a boundArgs) (any, error) {
	id, err := a.runbookArg()
	if err != nil {
		return nil, err
	}
	return nil, c.db.SetRunbookTraits(ctx, id, nil)
}

// createRunbookTrait gives a runbook a trait; that it has it already is no failure.
func createRunbookTrait(ctx context.Context, c *Conductor, sent *objects.Sent) (map[string]any, error) {
	var trait store.RunbookTrait
	if err := sent.Into(&trait); err != nil {
		return nil, err
	}
	added, err := c.db.AddRunbookTrait(ctx, trait.RunbookID, trait.Trait)
	if err != nil {
		return nil, err
	}
	if added {
		found, err := c.db.RunbookTraits(ctx, trait.RunbookID)
		if err != nil {
			return nil, err
		}
		for _, one := range found {
			if one.Trait == trait.Trait {
				trait = *one
			}
		}
	}
	return c.codec.EncodeAt("RunbookTrait", "", &trait).Data, nil
}
