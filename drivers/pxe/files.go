package pxe

import (
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
)

// Cache is Files over an image cache whose folder is on the file system of the roots: one fetch for each image, however many
// nodes boot it.
type Cache struct{ images *image.Cache }

// NewCache returns Files over a cache.
func NewCache(images *image.Cache) Cache { return Cache{images} }

var _ Files = Cache{}

// Fetch makes an image ready, as it is.
func (c Cache) Fetch(ctx context.Context, t *drivers.Task, ref image.Ref, name string) (string, error) {
	cached, err := c.images.Fetch(ctx, image.FetchRequest{Ref: ref, Owner: t.Node.UUID, Name: name,
		OnProgress: func(s image.Snapshot) {
			t.Worker.Report(t, drivers.Progress{Doing: "fetching the " + name, Waiting: s.Phase == image.PhaseAway, Bytes: s.Done,
				Total: s.Total})
		}})
	return cached.Path, err
}

// Release lets go of it.
func (c Cache) Release(t *drivers.Task, name string) error {
	return c.images.Release(t.Node.UUID, name)
}
