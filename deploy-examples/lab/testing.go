package lab

import (
	"context"
	"path/filepath"
	"testing"
)

// logTail is how many lines of each log a failed test shows.
const logTail = 30

// ForTest starts a lab for one test and closes it afterwards. When the test fails, the ends of all logs appear in its
// output.
func ForTest(t testing.TB, o Options) *Lab {
	t.Helper()
	l := NewForTest(t, o)
	if err := l.StartAll(); err != nil {
		t.Fatalf("starting the lab: %v", err)
	}
	return l
}

// NewForTest is ForTest without starting anything: the test calls StartRabbitMQ, StartDatabase and so on for just what
// it needs.
func NewForTest(t testing.TB, o Options) *Lab {
	t.Helper()
	// Not t.TempDir: its paths are too long for Unix sockets, and closed to servers that do not run as root. Nor
	// t.Context: it ends before Cleanup, and services would vanish under cleanups that still use them.
	l, err := New(context.Background(), o)
	if err != nil {
		t.Fatalf("starting the lab: %v", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			l.showLogs(t)
		}
		if err := l.Close(); err != nil {
			t.Errorf("closing the lab: %v", err)
		}
	})
	return l
}

func (l *Lab) showLogs(t testing.TB) {
	logs, err := filepath.Glob(filepath.Join(l.Dir, "*.log"))
	if err != nil {
		t.Logf("looking for logs: %v", err)
	}
	for _, log := range logs {
		t.Logf("--- end of %s\n%s", log, tail(log, logTail))
	}
}
