package conductor

import (
	"errors"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// The power sync notes how machines are, and their histories tell when that changes.
func TestHealthIsRecorded(t *testing.T) {
	w := startWorker(t, func(c *Config) { c.Release, c.HealthMonitoring = messaging.Newest, true })
	n := w.enroll(t, func(n *store.Node) { n.ProvisionState, n.PowerState = store.Active, store.PowerOn })
	health, failed := "Warning", error(nil)
	w.script.use(behaviour{powerState: func() (string, error) { return store.PowerOn, nil },
		health: func() (string, error) { return health, failed }})
	for _, c := range []struct {
		says, want, told string
		err              error
		off              bool
	}{
		{says: "Warning", want: "Warning", told: "health='Warning' (previously 'None')"},
		{says: "Warning", want: "Warning"},
		{says: "OK", want: "OK", told: "health='OK' (previously 'Warning')"},
		{says: "", want: "OK", err: errors.New("no route")},
		{says: "Critical", want: "OK", off: true},
		{says: "", want: "", told: "health='None' (previously 'OK')"},
	} {
		before := w.history(t, n)
		health, failed, w.live().HealthMonitoring = c.says, c.err, !c.off
		w.syncPower(t)
		if got := w.row(t, n.UUID).Health; got != c.want {
			t.Errorf("the BMC says %q: health %q, want %q", c.says, got, c.want)
		}
		if told := strings.TrimPrefix(w.history(t, n), before); c.told == "" && told != "" || !strings.Contains(told, c.told) {
			t.Errorf("the BMC says %q: the history tells %q", c.says, told)
		}
	}
}
