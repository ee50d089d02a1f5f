package conductor

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/noop"
)

// scriptStorage is scripted storage.
type scriptStorage struct {
	*noop.Storage
	s *script
}

func (v *scriptStorage) AttachVolumes(context.Context, *drivers.Task) error {
	return maybe(v.s.called("attach volumes").attachVolumes)
}

func (v *scriptStorage) DetachVolumes(context.Context, *drivers.Task) error {
	return maybe(v.s.called("detach volumes").detachVolumes)
}
