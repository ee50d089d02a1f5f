package room

import (
	"slices"
	"time"
)

// Told is what a machine's agents have told their readers of the end of an image write.
type Told string

const (
	// ToldNothing is a write after whose beginning nobody has read the list of commands.
	ToldNothing   Told = ""
	ToldRunning   Told = "running"
	ToldCompleted Told = "completed"
	ToldFailed    Told = "failed"
	// ToldLost is a write of an earlier start of the machine, which the list that was read does not know any more.
	ToldLost Told = "lost"
)

// ImageWrite is one command to write an image that an agent of the machine took on.
type ImageWrite struct {
	Begun time.Time
	// Ended is zero while the write runs.
	Ended time.Time
	// Completed tells that the image was written to its end and verified. A write that ended without was refused, failed,
	// or was broken off with the power.
	Completed bool
	// Told is what the last list of commands that was read after the beginning said of the write.
	Told Told

	start int // which start of the machine it belongs to
}

// ImageWrites returns the writes that began since the room was opened, in order.
func (m *Machine) ImageWrites() []ImageWrite {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.writes)
}

// beginWrite notes a write and returns how its end is noted.
func (m *Machine) beginWrite() (end func(error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	number := len(m.writes)
	m.writes = append(m.writes, ImageWrite{Begun: time.Now(), start: m.state.starts})
	return func(err error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.writes[number].Ended, m.writes[number].Completed = time.Now(), err == nil
	}
}

// toldWrites notes that somebody was shown all commands of the agent that runs.
func (m *Machine) toldWrites() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.writes {
		w := &m.writes[i]
		switch {
		case w.start != m.state.starts && (w.Told == ToldNothing || w.Told == ToldRunning):
			w.Told = ToldLost
		case w.start != m.state.starts:
		case w.Ended.IsZero():
			w.Told = ToldRunning
		case w.Completed:
			w.Told = ToldCompleted
		default:
			w.Told = ToldFailed
		}
	}
}
