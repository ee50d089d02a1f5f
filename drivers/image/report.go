package image

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/ironmaster/ironmaster/store"
)

// Report is what can be told of an image without downloading it: the answer of `ironmaster image inspect`.
type Report struct {
	Ref      Ref
	Metadata Metadata
	Decision Decision
	// Inspection is of the first bytes. It is zero when the source is a directory.
	Inspection Inspection
	// Problem is why a deployment of the image would be refused, nil when nothing is known to be wrong.
	Problem error
}

// Report reads an image's metadata and its first bytes. instance may hold further keys of instance_info, such as kernel
// or image_disk_format; its image_source is set to the ref. An error means that the image could not be read.
func (s *Service) Report(ctx context.Context, ref Ref, instance store.Dict) (Report, error) {
	instance = instance.Clone()
	if instance == nil {
		instance = store.Dict{}
	}
	instance[keyImageSource] = ref.Href
	r := Report{Ref: ref}
	var err error
	if r.Decision, err = s.Kind(ctx, instance, ref.Requester); err != nil || r.Decision.SourceIsPath {
		return r, err
	}
	if r.Metadata, err = s.Show(ctx, ref); err != nil {
		return r, err
	}
	prefix, whole, err := s.prefix(ctx, ref)
	if err != nil {
		return r, err
	}
	size := UnknownSize
	if whole {
		size = int64(len(prefix))
	}
	if r.Inspection, err = Inspect(bytes.NewReader(prefix), size); err != nil {
		return r, err
	}
	if r.Inspection.VirtualSize == 0 && r.Inspection.Format == FormatRaw {
		r.Inspection.VirtualSize = r.Metadata.Size
	}
	r.Problem = s.cfg.Safety.Check(ref.Href, r.Inspection, cmp.Or(instance.String("image_disk_format"), r.Metadata.DiskFormat))
	return r, nil
}

// prefix reads as many first bytes as an inspection wants, and tells whether that was the whole image.
func (s *Service) prefix(ctx context.Context, ref Ref) (b []byte, whole bool, err error) {
	src, err := s.source(ref)
	if err != nil {
		return nil, false, err
	}
	body, err := src.Open(ctx, ref, place{})
	if err != nil {
		return nil, false, err
	}
	defer body.Close()
	b = make([]byte, PrefixSize)
	n, err := io.ReadFull(body, b)
	switch {
	case err == nil:
		return b, body.size == int64(n), nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && (body.size < 0 || body.size == int64(n)):
		return b[:n], true, nil
	}
	return nil, false, asDownloadFailed(ref.Href, err)
}
