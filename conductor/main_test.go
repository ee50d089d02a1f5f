package conductor

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails the package when a worker that ended left a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
