package room

import (
	"errors"
	"testing"
)

// TestImageWritesTellWhatWasRead goes through what the readers of an agent's list of commands can learn of a write.
func TestImageWritesTellWhatWasRead(t *testing.T) {
	restart := func(m *Machine) { m.change(func(s *state) { s.starts++ }) }
	for name, c := range map[string]struct {
		do   func(m *Machine, end func(error))
		want Told
	}{
		"unread":                   {func(_ *Machine, end func(error)) { end(nil) }, ToldNothing},
		"running":                  {func(m *Machine, _ func(error)) { m.toldWrites() }, ToldRunning},
		"completed":                {func(m *Machine, end func(error)) { end(nil); m.toldWrites() }, ToldCompleted},
		"failed":                   {func(m *Machine, end func(error)) { end(errors.New("no space")); m.toldWrites() }, ToldFailed},
		"completed since":          {func(m *Machine, end func(error)) { m.toldWrites(); end(nil) }, ToldRunning},
		"by another agent":         {func(m *Machine, end func(error)) { end(nil); restart(m); m.toldWrites() }, ToldLost},
		"before the other agent":   {func(m *Machine, end func(error)) { end(nil); m.toldWrites(); restart(m); m.toldWrites() }, ToldCompleted},
		"the other agent not read": {func(m *Machine, end func(error)) { m.toldWrites(); end(nil); restart(m) }, ToldRunning},
	} {
		t.Run(name, func(t *testing.T) {
			m := &Machine{}
			c.do(m, m.beginWrite())
			writes := m.ImageWrites()
			if len(writes) != 1 || writes[0].Told != c.want {
				t.Errorf("the writes are %+v, want one of which is told %q", writes, c.want)
			}
		})
	}
}
