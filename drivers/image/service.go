// Package image brings disk images from Glance, web servers and local files onto this host and from here to the nodes.
//
// It decides whether an image is a whole disk or a partition, checks that the bytes are what they claim to be before
// anything uses them, converts them to raw when asked, keeps one copy however many nodes want it, and serves each node
// its own unguessable URL while counting what the node took.
package image

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// Metadata is what the place that holds an image tells about it.
type Metadata struct {
	Origin Origin
	// Name, Status, Visibility and Owner are known for Glance images only.
	Name, Status, Visibility, Owner string
	// Properties are the custom properties of a Glance image, such as kernel_id; nil elsewhere.
	Properties store.Dict
	Tags       []string
	// DiskFormat and ContainerFormat are what the owner declared; empty when not declared.
	DiskFormat, ContainerFormat string
	// Size is in bytes, 0 when not known.
	Size int64
	// Checksum is Glance's md5 in hex.
	Checksum string
	// HashAlgo and HashValue are Glance's os_hash_algo and os_hash_value.
	HashAlgo, HashValue string
	// UpdatedAt is in UTC, zero when not known.
	UpdatedAt time.Time
	// NoCache tells that the web server forbids to keep a copy (Cache-Control: no-store).
	NoCache bool
	// Location is where an HTTP image was found after redirects; empty when it was where the href says.
	Location string
}

// source is a place that holds images.
type source interface {
	// Show reads metadata.
	Show(ctx context.Context, ref Ref) (Metadata, error)
	// Open starts reading the bytes, from a place on if the source can begin there and still has the same image; otherwise
	// from the start.
	Open(ctx context.Context, ref Ref, from place) (stream, error)
}

// place is where in an image's bytes a transfer was cut.
type place struct {
	offset int64
	// version is what the source called these bytes (an ETag, a time), as far as it has a name for them.
	version string
}

// stream is a transfer under way.
type stream struct {
	io.ReadCloser
	// begin is where in the image the first byte belongs.
	begin int64
	// size is that of the whole image, -1 when not known.
	size    int64
	version string
}

// Service is the way to images. It is safe for concurrent use.
type Service struct {
	cfg    Config
	glance *glanceSource
	web    *httpSource
	files  fileSource
	log    zerolog.Logger
	absent absent
}

// New builds a Service. It touches no network; Open the cache and start the server separately.
func New(cfg Config, log zerolog.Logger) (*Service, error) {
	web, err := newHTTPSource(cfg.HTTP)
	if err != nil {
		return nil, err
	}
	glance, err := newGlanceSource(cfg.Glance, log)
	if err != nil {
		return nil, err
	}
	return &Service{cfg: cfg, glance: glance, web: web, files: fileSource{cfg: cfg.File}, log: log}, nil
}

// Close drops idle connections.
func (s *Service) Close() {
	s.glance.close()
	s.web.close()
}

func (s *Service) source(ref Ref) (source, error) {
	origin, err := ParseOrigin(ref.Href)
	if err != nil {
		return nil, err
	}
	switch origin {
	case OriginGlance:
		return s.glance, nil
	case OriginHTTP:
		return s.web, nil
	case OriginFile:
		return s.files, nil
	}
	return nil, fmt.Errorf("no image source for %s", origin)
}

// Show reads an image's metadata. Errors carry ironic's kinds: ImageRefValidationFailed, ImageNotFound,
// ImageNotAuthorized, ImageUnacceptable, GlanceConnectionFailed, InvalidImageRef.
func (s *Service) Show(ctx context.Context, ref Ref) (Metadata, error) {
	src, err := s.source(ref)
	if err != nil {
		return Metadata{}, err
	}
	return src.Show(ctx, ref)
}

// Download copies an image's bytes to w and returns how many there were. A body shorter than announced is
// ImageDownloadFailed. progress may be nil.
func (s *Service) Download(ctx context.Context, ref Ref, w io.Writer, progress *Progress) (int64, error) {
	t := transfer{s: s, ref: ref, to: w, progress: progress}
	err := t.run(ctx)
	return t.at.offset, err
}

// contextReader stops reading local files too when their reader has gone.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

// ValidateSource checks that an image can be read from where href points to, without asking there, and words a failure
// as ironic's deploy validation does.
func ValidateSource(href string) error {
	if _, err := ParseOrigin(href); err != nil {
		return store.Errorf(store.InvalidParameterValue, "%w", err)
	}
	return nil
}
