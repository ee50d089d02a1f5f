package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/messaging/oslo"
)

type runbookArgs struct {
	Ident string `json:"runbook_ident"`
}

// getRunbook reads a runbook by UUID or name.
func (c *Conductor) getRunbook(ctx context.Context, _ oslo.Context, a runbookArgs) (any, error) {
	found, err := c.runbook(ctx, a.Ident)
	if err != nil {
		return nil, err
	}
	return c.codec.Encode("Runbook", found), nil
}
