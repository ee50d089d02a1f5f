package conductor

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging"
)

// cacheHealth records how the machine is as a whole, where its management interface knows. Ironic does so since 2026.1.
func (t *task) cacheHealth(ctx context.Context) {
	examining, ok := t.Hardware.Management.(drivers.Examining)
	if !ok || t.c.cfg.Release < messaging.V2026_1 || !t.c.live().HealthMonitoring {
		return
	}
	health, err := examining.Health(ctx, t.Task)
	if err != nil {
		t.Log.Warn().Err(err).Msg("Reading the machine's health failed")
		return
	}
	if health == t.Node.Health || t.upgrade(ctx, "caching health status", 0) != nil {
		return
	}
	before := t.Node.Health
	t.Node.Health = health
	if t.saveOrLose(ctx) != nil {
		return
	}
	word := func(health string) string {
		if health == "" {
			return "None"
		}
		return health
	}
	t.addHistory(ctx, historyMonitoring, "INFO", fmt.Sprintf("Node health status changed: health='%s' (previously '%s')", word(health), word(before)))
}
