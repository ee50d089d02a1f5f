package iscsi

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/partition"
)

const (
	// sampleSize is how much is read back of each place, samples how many places there are between the first and the last.
	sampleSize = partition.MiB
	samples    = 16
)

// differenceError tells where the disk does not hold what was written. It may also be that there are bad blocks.
type differenceError struct {
	offset int64
	seed   uint64
}

func (e *differenceError) Error() string {
	return fmt.Sprintf("reading back found other bytes than were written, in the MiB at %d of the image (seed %d)", e.offset, e.seed)
}

// verify reads back the first and the last MiB of the image, and some in between that a seed chooses. The image begins at
// a place of the disk.
func (w *writer) verify(ctx context.Context, at int64) error {
	seed := rand.Uint64()
	places := samplePlaces(w.size(), seed)
	w.t.Worker.Report(w.t, drivers.Progress{Doing: "reading back what was written"})
	for _, place := range places {
		other, err := w.lun.differs(ctx, w.source, place, at+place, min(sampleSize, w.size()-place))
		if err != nil {
			return fmt.Errorf("reading back the image: %w", err)
		}
		if other {
			return &differenceError{place, seed}
		}
	}
	w.t.Log.Info().Int("samples", len(places)).Uint64("seed", seed).Msg("Read back a sample of the image")
	return nil
}

// samplePlaces are the offsets of the samples in an image, in order.
func samplePlaces(size int64, seed uint64) []int64 {
	count := (size + sampleSize - 1) / sampleSize
	last := max(0, size-sampleSize) / sector * sector
	places := []int64{0, last}
	if count <= samples+2 {
		for i := range count {
			places = append(places, min(i*sampleSize, last))
		}
	} else {
		source := rand.New(rand.NewPCG(seed, uint64(size)))
		for range samples {
			places = append(places, source.Int64N(count)*sampleSize/sector*sector)
		}
	}
	slices.Sort(places)
	return slices.Compact(places)
}
