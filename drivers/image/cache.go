package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// FetchRequest asks for an image to be ready on this host.
type FetchRequest struct {
	Ref Ref
	// Owner is the UUID of the node that needs the image, and Name what it is for the node, such as disk. Together they
	// name the file that the node holds until Release.
	Owner, Name string
	// ForceRaw converts everything but ISO images to raw.
	ForceRaw bool
	// DeclaredFormat is instance_info.image_disk_format; empty means what Glance says, if it does.
	DeclaredFormat string
	// Checksum is what the image must have; zero means what Glance says, if it does.
	Checksum Checksum
	// OnProgress is called about every second while the image is on its way. May be nil.
	OnProgress func(Snapshot)
}

// Cached is an image that is ready, checked and held for its owner.
type Cached struct {
	// Path is a file that nobody changes until Release.
	Path string `json:"-"`
	// Format is what the file contains, SourceFormat what was downloaded.
	Format, SourceFormat Format
	PartitionTable       string
	// Size is the file's length and VirtualSize the disk's, in bytes.
	Size, VirtualSize int64
	// HashAlgo and HashValue are the file's own digest, never a weak one, so that for a converted image they differ from
	// what the source tells.
	HashAlgo, HashValue string
}

// Cache keeps one checked copy of each image, however many nodes ask for it, and gives each node a hard link of its own.
// The master files are named as ironic names them: the Glance id, or the UUID of the URL, with ".converted" behind it
// when raw was asked for.
//
// Layout: MasterDir/<name> is the master, MasterDir/.ironmaster/<name>.json what is known about it, written last, so that
// a master without it is not used; MasterDir/.ironmaster/partial holds what is on its way and is emptied at start.
// ImagesDir/<owner>/<name> is a node's link, which survives a restart.
type Cache struct {
	cfg     CacheConfig
	images  *Service
	convert *converter
	log     zerolog.Logger
	slots   *slots

	ctx    context.Context // ends the flights
	cancel context.CancelFunc
	crew   sync.WaitGroup

	mu      sync.Mutex // guards flights, and every change of the directories
	closed  bool
	flights map[string]*flight
}

// record is what is known about a master file.
type record struct {
	Cached
	// Sums are digests of the bytes that were downloaded.
	Sums map[string]string
	// SourceSize and UpdatedAt tell whether the source still holds the same.
	SourceSize int64
	UpdatedAt  time.Time
}

var errCacheClosed = errors.New("the image cache is shutting down")

// OpenCache prepares the directories and removes what a crash left half done.
func OpenCache(images *Service, log zerolog.Logger) (*Cache, error) {
	return OpenCacheAt(images.cfg.Cache, images, log)
}

// OpenCacheAt is OpenCache in other directories than those of the service's own configuration.
func OpenCacheAt(cfg CacheConfig, images *Service, log zerolog.Logger) (*Cache, error) {
	for _, dir := range []*string{&cfg.MasterDir, &cfg.ImagesDir} {
		absolute, err := filepath.Abs(*dir)
		if err != nil {
			return nil, fmt.Errorf("opening the image cache: %w", err)
		}
		*dir = absolute
	}
	c := &Cache{cfg: cfg, images: images, convert: newConverter(images.cfg.Convert, log), log: log,
		slots: newSlots(cfg.Concurrency), flights: map[string]*flight{}}
	if err := os.RemoveAll(c.partialDir()); err != nil {
		return nil, fmt.Errorf("removing unfinished images: %w", err)
	}
	for _, dir := range []string{c.partialDir(), cfg.ImagesDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("creating the image cache: %w", err)
		}
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c, nil
}

// Close ends what is on its way and waits for it. What is ready stays for the next start.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.crew.Wait()
}

func (c *Cache) partialDir() string { return filepath.Join(c.cfg.MasterDir, ".ironmaster", "partial") }

func (c *Cache) masterPath(name string) string { return filepath.Join(c.cfg.MasterDir, name) }

func (c *Cache) recordPath(name string) string {
	return filepath.Join(c.cfg.MasterDir, ".ironmaster", name+".json")
}

// masterName is ironic's name for a master file.
func masterName(href string, raw bool) (string, error) {
	name := ""
	if IsGlance(href) {
		id, err := glanceID(href)
		if err != nil {
			return "", err
		}
		name = strings.ToLower(id)
	} else {
		name = uuid.NewSHA1(uuid.NameSpaceURL, []byte(href)).String()
	}
	if !safeName.MatchString(name) {
		return "", store.Errorf(store.InvalidImageRef, "Invalid image href %s.", Redact(href))
	}
	if raw {
		name += ".converted"
	}
	return name, nil
}

// safeOwner is a UUID, or what a test calls a node.
var safeOwner = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,63}$`)

// Fetch makes an image ready and holds it for the owner. Several calls for the same image share one download. A call
// that is cancelled leaves the others alone; the download ends with its last waiter.
func (c *Cache) Fetch(ctx context.Context, req FetchRequest) (Cached, error) {
	if !safeOwner.MatchString(req.Owner) || !safeName.MatchString(req.Name) {
		return Cached{}, fmt.Errorf("fetching image %s: malformed owner %q or name %q", req.Ref, req.Owner, req.Name)
	}
	meta, err := c.images.show(ctx, req.Ref, func() {
		if req.OnProgress != nil {
			req.OnProgress(Snapshot{Phase: PhaseAway})
		}
	})
	if err != nil {
		return Cached{}, err
	}
	job, err := c.newJob(req, meta)
	if err != nil {
		return Cached{}, err
	}
	c.mu.Lock()
	if cached, ok, err := c.hit(job, req); ok || err != nil {
		c.mu.Unlock()
		return cached, err
	}
	f, err := c.board(job)
	c.mu.Unlock()
	if err != nil {
		return Cached{}, err
	}
	return c.await(ctx, f, req)
}

// hit serves a request from a master file when that is still what the source holds.
func (c *Cache) hit(j job, req FetchRequest) (Cached, bool, error) {
	rec, ok := c.readRecord(j.name)
	if !ok || !j.matches(rec) {
		return Cached{}, false, nil
	}
	if err := c.images.cfg.Safety.Check(j.ref.Href, rec.inspection(), j.declared); err != nil {
		return Cached{}, false, err
	}
	cached, err := c.hold(c.masterPath(j.name), rec.Cached, req)
	return cached, true, err
}

// inspection is what Inspect found when the image was downloaded.
func (r record) inspection() Inspection {
	return Inspection{Format: r.SourceFormat, PartitionTable: r.PartitionTable, VirtualSize: r.VirtualSize}
}

// readRecord returns what is known about a master file, if that is there with the length that it should have.
func (c *Cache) readRecord(name string) (record, bool) {
	var rec record
	if err := readJSON(c.recordPath(name), &rec); err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.log.Warn().Err(err).Str("image", name).Msg("an image will be fetched again")
		}
		return record{}, false
	}
	info, err := os.Stat(c.masterPath(name))
	return rec, err == nil && info.Size() == rec.Size
}

// hold links a ready file to where its owner finds it.
func (c *Cache) hold(from string, cached Cached, req FetchRequest) (Cached, error) {
	dir := filepath.Join(c.cfg.ImagesDir, req.Owner)
	cached.Path = filepath.Join(dir, req.Name)
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = errors.Join(removeFile(heldRecord(cached.Path)), removeFile(cached.Path))
	}
	if err == nil {
		err = os.Link(from, cached.Path)
	}
	if err == nil {
		err = writeJSON(heldRecord(cached.Path), cached)
	}
	if err != nil {
		if errors.Is(err, syscall.EXDEV) {
			err = fmt.Errorf("%w (images_path and instance_master_path must be on one file system)", err)
		}
		return Cached{}, store.Errorf(store.ImageDownloadFailed, "Could not link image %s to %s, error: %w", req.Ref, cached.Path, err)
	}
	return cached, nil
}

func heldRecord(path string) string { return path + ".json" }

// Held returns what an owner holds, also after a restart.
func (c *Cache) Held(owner, name string) (Cached, bool) {
	if !safeOwner.MatchString(owner) || !safeName.MatchString(name) {
		return Cached{}, false
	}
	path := filepath.Join(c.cfg.ImagesDir, owner, name)
	cached := Cached{}
	if err := readJSON(heldRecord(path), &cached); err != nil {
		return Cached{}, false
	}
	info, err := os.Stat(path)
	cached.Path = path
	return cached, err == nil && info.Size() == cached.Size
}

// Owners lists who holds images, so that after a start the caller can release those that need none any more.
func (c *Cache) Owners() ([]string, error) {
	entries, err := os.ReadDir(c.cfg.ImagesDir)
	if err != nil {
		return nil, fmt.Errorf("listing the images held: %w", err)
	}
	var owners []string
	for _, e := range entries {
		if e.IsDir() && safeOwner.MatchString(e.Name()) {
			owners = append(owners, e.Name())
		}
	}
	return owners, nil
}

// Release gives back what an owner holds, all of it or only the names given. The masters stay for the next node.
func (c *Cache) Release(owner string, names ...string) error {
	if !safeOwner.MatchString(owner) {
		return fmt.Errorf("releasing images: malformed owner %q", owner)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	dir := filepath.Join(c.cfg.ImagesDir, owner)
	if len(names) == 0 {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("releasing the images of %s: %w", owner, err)
		}
		return nil
	}
	var errs []error
	for _, name := range names {
		if !safeName.MatchString(name) {
			errs = append(errs, fmt.Errorf("releasing images: malformed name %q", name))
			continue
		}
		path := filepath.Join(dir, name)
		errs = append(errs, removeFile(heldRecord(path)), removeFile(path))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("releasing images of %s: %w", owner, err)
	}
	os.Remove(dir) //nolint:errcheck // it stays while other images are in it
	return nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}

// writeJSON replaces a file in one step.
func writeJSON(path string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", data, 0o644); err != nil { //nolint:gosec // nothing secret in it
		return err
	}
	return os.Rename(path+".new", path)
}
