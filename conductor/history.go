package conductor

import "context"

// cutHistories keeps the histories of this worker's nodes at the length that [conductor]node_history_max_entries and
// node_history_minimum_days allow.
func (c *Conductor) cutHistories(ctx context.Context) error {
	keep := c.live().HistoryMaxEntries
	if keep == 0 || c.cfg.HistoryCleanUpBatch == 0 {
		return nil
	}
	deleted, more, err := c.db.CutHistories(ctx, c.conductorID, keep, c.live().HistoryMinimumAge, c.cfg.HistoryCleanUpBatch)
	if deleted > 0 {
		c.log.Info().Int("entries", deleted).Msg("The oldest entries of nodes' histories were deleted")
	}
	if more {
		c.log.Warn().Msg("More entries of nodes' histories are to be deleted than node_history_cleanup_batch_count allows at a time; " +
			"the rest is next time's")
	}
	return err
}
