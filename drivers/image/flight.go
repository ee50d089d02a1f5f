package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"
)

// progressEvery is how often a waiter is told how far its image is.
const progressEvery = time.Second

// job is one image to make ready.
type job struct {
	name     string // of the master file
	ref      Ref
	meta     Metadata
	raw      bool
	declared string
	want     Checksum
	strong   string // algorithm of the digest that Cached carries
}

func (c *Cache) newJob(req FetchRequest, meta Metadata) (job, error) {
	name, err := masterName(req.Ref.Href, req.ForceRaw)
	if err != nil {
		return job{}, err
	}
	j := job{name: name, ref: req.Ref, meta: meta, raw: req.ForceRaw, want: req.Checksum,
		declared: cmp.Or(req.DeclaredFormat, meta.DiskFormat)}
	if j.want.IsZero() {
		if j.want, err = c.images.cfg.Checksum.ofMetadata(meta); err != nil {
			return job{}, err
		}
	}
	j.strong = j.want.Algo
	if j.strong == "" || j.strong == "md5" || j.strong == "sha1" {
		j.strong = "sha256"
	}
	if c.images.cfg.Checksum.DisableVerification {
		j.want = Checksum{}
	}
	return j, nil
}

// key tells jobs apart that must not share a download.
func (j job) key() string {
	return j.name + "|" + j.declared + "|" + j.want.Algo + ":" + j.want.Value + "|" + j.strong
}

// matches reports whether a master file is what this job would produce. Glance images never change. Others are the same
// while their time and size are; without a time they are fetched again, as in ironic.
func (j job) matches(rec record) bool {
	if j.meta.Origin != OriginGlance {
		same := !j.meta.UpdatedAt.IsZero() && j.meta.UpdatedAt.Equal(rec.UpdatedAt) && j.meta.Size == rec.SourceSize
		if !same || j.meta.NoCache {
			return false
		}
	}
	return j.want.IsZero() || rec.Sums[j.want.Algo] == j.want.Value
}

// flight is a job under way, with everybody who waits for it.
type flight struct {
	job      job
	dir      string // its own directory below partial
	progress Progress
	cancel   context.CancelFunc

	waiters int // guarded by Cache.mu
	landed  bool

	done chan struct{} // closed when path, rec and err are final
	path string
	rec  record
	err  error
}

// board joins the flight of a job, and starts it when there is none. Cache.mu is held.
func (c *Cache) board(j job) (*flight, error) {
	if c.closed {
		return nil, errCacheClosed
	}
	if f := c.flights[j.key()]; f != nil {
		f.waiters++
		return f, nil
	}
	dir, err := os.MkdirTemp(c.partialDir(), j.name+"-")
	if err != nil {
		return nil, fmt.Errorf("fetching image %s: %w", j.ref, err)
	}
	ctx, cancel := context.WithCancel(c.ctx)
	f := &flight{job: j, dir: dir, cancel: cancel, waiters: 1, done: make(chan struct{})}
	c.flights[j.key()] = f
	c.crew.Go(func() { c.fly(ctx, f) })
	return f, nil
}

// await waits for a flight, takes the owner's link, and leaves.
func (c *Cache) await(ctx context.Context, f *flight, req FetchRequest) (Cached, error) {
	defer c.leave(f)
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case <-f.done:
			if f.err != nil {
				return Cached{}, f.err
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.hold(f.path, f.rec.Cached, req)
		case <-ctx.Done():
			return Cached{}, context.Cause(ctx)
		case <-ticker.C:
			if req.OnProgress != nil {
				req.OnProgress(f.progress.Snapshot())
			}
		}
	}
}

// leave takes a waiter off. The last one ends a flight that has not landed, and removes the files of one that has:
// whoever needed them has links by then.
func (c *Cache) leave(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f.waiters--
	if f.waiters > 0 {
		return
	}
	if f.landed {
		c.clear(f)
		return
	}
	f.cancel()
	if c.flights[f.job.key()] == f {
		delete(c.flights, f.job.key())
	}
}

// fly runs a job to its end.
func (c *Cache) fly(ctx context.Context, f *flight) {
	defer f.cancel()
	path, rec, err := c.produceOrFail(ctx, f)
	if err == nil && !f.job.meta.NoCache {
		err = c.install(f.job.name, path, rec)
	}
	if err != nil && c.ctx.Err() != nil {
		err = errCacheClosed
	}
	c.mu.Lock()
	f.path, f.rec, f.err, f.landed = path, rec, err, true
	if c.flights[f.job.key()] == f {
		delete(c.flights, f.job.key())
	}
	if f.waiters == 0 {
		c.clear(f)
	}
	close(f.done)
	c.mu.Unlock()
	c.CleanUp()
}

func (c *Cache) clear(f *flight) {
	if err := os.RemoveAll(f.dir); err != nil {
		c.log.Warn().Err(err).Msg("removing the files of a finished download")
	}
}

// produceOrFail is produce, whose panic is a failure of this image alone. What is read here may be any bytes at all, and a worker
// that they end would be ended by them again after each start.
func (c *Cache) produceOrFail(ctx context.Context, f *flight) (path string, rec record, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.log.Error().Str("panic", fmt.Sprint(p)).Bytes("stack", debug.Stack()).Str("image", f.job.name).Msg("An image brought a bug to light")
			err = downloadFailed(f.job.ref.Href, fmt.Errorf("internal error: %v", p))
		}
	}()
	return c.produce(ctx, f)
}

// produce downloads, hashes, checks and converts an image into a file of the flight's directory.
func (c *Cache) produce(ctx context.Context, f *flight) (string, record, error) {
	j := f.job
	path := filepath.Join(f.dir, "image")
	in, sums, size, err := c.downloadInTurn(ctx, f, path)
	if err != nil {
		return "", record{}, err
	}
	rec := record{Sums: sums, SourceSize: j.meta.Size, UpdatedAt: j.meta.UpdatedAt, Cached: Cached{
		Format: in.Format, SourceFormat: in.Format, PartitionTable: in.PartitionTable, Size: size,
		VirtualSize: in.VirtualSize, HashAlgo: j.strong, HashValue: sums[j.strong]}}
	if !j.raw || in.Format == FormatRaw || in.Format == FormatISO {
		return path, rec, syncFile(path)
	}
	raw := filepath.Join(f.dir, "raw")
	if err := c.toRaw(ctx, f, path, in, raw, &rec); err != nil {
		return "", record{}, err
	}
	return raw, rec, syncFile(raw)
}

// downloadInTurn waits until the image's server is asked for few enough others.
func (c *Cache) downloadInTurn(ctx context.Context, f *flight, path string) (Inspection, map[string]string, int64, error) {
	f.progress.Begin(PhaseWaiting, 0)
	leave, err := c.slots.acquire(ctx, f.job.ref.server())
	if err != nil {
		return Inspection{}, nil, 0, err
	}
	defer leave()
	if err := c.makeRoom(f.job.meta.Size); err != nil {
		return Inspection{}, nil, 0, err
	}
	return c.download(ctx, f, path)
}

// download writes the image to path, going on where it was cut. The first bytes are inspected as soon as they are there, so
// that what is refused is not downloaded to its end; the whole is inspected again afterwards, for some formats show at the
// end of the file.
func (c *Cache) download(ctx context.Context, f *flight, path string) (Inspection, map[string]string, int64, error) {
	j := f.job
	fail := func(err error) (Inspection, map[string]string, int64, error) { return Inspection{}, nil, 0, err }
	sums, err := newMultiHash(j.want.Algo, j.strong)
	if err != nil {
		return fail(err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fail(downloadFailed(j.ref.Href, err))
	}
	defer file.Close()
	inspect := func(size int64) (Inspection, error) {
		in, err := Inspect(file, size)
		if err != nil {
			return in, downloadFailed(j.ref.Href, err)
		}
		return in, c.images.cfg.Safety.Check(j.ref.Href, in, j.declared)
	}
	to := &landing{file: file, sums: sums, gate: prefixGate{w: file, limit: PrefixSize, pass: func() error {
		_, err := inspect(UnknownSize)
		return err
	}}}
	n, err := Patient{c.images}.DownloadTo(ctx, j.ref, to, &f.progress)
	if err != nil {
		return fail(err)
	}
	if j.meta.Origin == OriginGlance && j.meta.Size > 0 && n != j.meta.Size {
		return fail(downloadFailed(j.ref.Href, errTruncated))
	}
	got := sums.sums()
	if err := compareChecksum(j.ref.Href, j.want, got); err != nil {
		return fail(err)
	}
	in, err := inspect(n)
	if err != nil {
		return fail(err)
	}
	return in, got, n, nil
}

// landing is the file that a download goes to, and what is learned of it on the way.
type landing struct {
	file *os.File
	gate prefixGate
	sums multiHash
}

func (l *landing) Write(b []byte) (int, error) {
	n, err := l.gate.Write(b)
	// What was written counts, so that the sum is right where a transfer goes on.
	_, _ = l.sums.Write(b[:n]) // it never fails
	return n, err
}

// Restart is Sink.
func (l *landing) Restart() error {
	l.sums.reset()
	l.gate.n, l.gate.asked = 0, false
	if _, err := l.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return l.file.Truncate(0)
}

// toRaw converts the downloaded file, removes it, and corrects the record.
func (c *Cache) toRaw(ctx context.Context, f *flight, path string, in Inspection, raw string, rec *record) error {
	f.progress.Begin(PhaseWaiting, 0)
	leave, err := c.slots.acquire(ctx, placeConversion)
	if err != nil {
		return err
	}
	defer leave()
	if err := c.makeRoom(in.VirtualSize); err != nil {
		estimate := min(int64(float64(rec.Size)*c.images.cfg.Convert.GrowthFactor), in.VirtualSize)
		if err := c.makeRoom(estimate); err != nil {
			return err
		}
	}
	if err := c.convert.toRaw(ctx, f.job.ref.Href, path, in, raw, &f.progress); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing the source of a conversion: %w", err)
	}
	info, err := os.Stat(raw)
	if err != nil {
		return convertFailed(f.job.ref.Href, err)
	}
	sums, err := hashFile(ctx, raw, &f.progress, f.job.strong)
	if err != nil {
		return err
	}
	rec.Format, rec.Size, rec.HashValue = FormatRaw, info.Size(), sums[f.job.strong]
	return nil
}

// install makes a finished file the master. Crash windows: before the rename the old master, if any, has lost its record
// and is fetched again; between the rename and the new record the same holds for the new one.
func (c *Cache) install(name, path string, rec record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	staged := path + ".master"
	err := errors.Join(removeFile(c.recordPath(name)), os.Link(path, staged))
	if err == nil {
		err = os.Rename(staged, c.masterPath(name))
	}
	if err == nil {
		err = writeJSON(c.recordPath(name), rec)
	}
	if err != nil {
		return fmt.Errorf("putting image %s into the cache: %w", name, err)
	}
	return nil
}

// syncFile makes sure that a record never outlives the bytes that it vouches for.
func syncFile(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("flushing an image to disk: %w", err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("flushing an image to disk: %w", err)
	}
	return nil
}

// prefixGate passes bytes on and, once limit bytes are there, asks whether to go on.
type prefixGate struct {
	w     io.Writer
	limit int64
	n     int64
	asked bool
	pass  func() error
}

func (g *prefixGate) Write(b []byte) (int, error) {
	n, err := g.w.Write(b)
	g.n += int64(n)
	if err == nil && !g.asked && g.n >= g.limit {
		g.asked = true
		err = g.pass()
	}
	return n, err
}
