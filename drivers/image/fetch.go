package image

import (
	"context"
	"errors"
	"io"

	"github.com/ironmaster/ironmaster/store"
)

// transfer brings an image's bytes from where it is. It can be run again after it was cut, and then goes on.
type transfer struct {
	s   *Service
	ref Ref
	to  io.Writer
	// restart throws away what was written; nil when the writer can't.
	restart  func() error
	progress *Progress
	// at is how far it came.
	at place
}

var errNoRestart = errors.New("the source changed meanwhile, or cannot send the rest alone")

func (t *transfer) run(ctx context.Context) error {
	src, err := t.s.source(t.ref)
	if err != nil {
		return err
	}
	from, err := src.Open(ctx, t.ref, t.at)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := t.moveTo(from); err != nil {
		return asDownloadFailed(t.ref.Href, err)
	}
	t.progress.Begin(PhaseDownload, from.size)
	t.progress.Set(t.at.offset)
	n, err := io.Copy(io.MultiWriter(t.to, t.progress), contextReader{ctx, from})
	t.at.offset += n
	if err == nil && from.size >= 0 && t.at.offset != from.size {
		err = store.Away(sourceName(t.ref.Href), errTruncated)
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		return cause
	}
	if err != nil {
		return asDownloadFailed(t.ref.Href, err)
	}
	return nil
}

// moveTo goes to where a stream begins: where the last one was cut, or the start.
func (t *transfer) moveTo(from stream) error {
	if from.begin != t.at.offset {
		if from.begin != 0 || t.restart == nil {
			return errNoRestart
		}
		if err := t.restart(); err != nil {
			return err
		}
	}
	t.at = place{from.begin, from.version}
	return nil
}

func sourceName(href string) string {
	if IsGlance(href) {
		return serviceGlance
	}
	return hostOf(href)
}

// faulty marks what goes wrong while a body is read as the fault of the service that sends it, unlike what goes wrong while
// it is written here.
type faulty struct {
	io.ReadCloser
	service string
}

func (f faulty) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if err != nil && err != io.EOF && !errors.Is(err, context.Canceled) { //nolint:errorlint // io.Reader returns it bare
		err = store.Away(f.service, err)
	}
	return n, err
}
