package inspection

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// An inspection that failed does not make the next one switch off a machine that it finds on.
func TestAnInspectionThatFailsForgetsThatTheMachineWasOff(t *testing.T) {
	for _, c := range []struct {
		err       error
		remembers bool
	}{
		{errors.New("no CPU"), false},
		{fmt.Errorf("saving: %w", store.ErrLockLost), true},
	} {
		task := newTask(&memoryStore{})
		if err := WhileOn(t.Context(), task, store.PowerOff, nil, func() error { return c.err }); !errors.Is(err, c.err) {
			t.Errorf("got %v, want %v", err, c.err)
		}
		if _, remembers := task.Node.DriverInternalInfo[keyOff]; remembers != c.remembers {
			t.Errorf("after %v the row says %v", c.err, task.Node.DriverInternalInfo)
		}
	}
}
