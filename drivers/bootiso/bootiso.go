// Package bootiso builds the ISO images that nodes boot a ramdisk from by virtual media.
//
// Images for the same kernel, ramdisk and boot loader differ in a few hundred bytes: the kernel command line and the
// publisher. So each combination is built once, as a template on disk with room for these bytes, and an Image is the
// template with a node's bytes laid over it while it is read. Three hundred nodes cost one file.
package bootiso

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// Files brings the parts of an ISO from where they are: Glance, web servers, local files.
type Files interface {
	// Revision returns a text that changes when the bytes behind href may have changed (a Glance id, an ETag, a time of
	// modification). "" says that there is no telling; what was fetched then counts as fresh for a minute.
	Revision(ctx context.Context, href string) (string, error)
	// Fetch writes the bytes to a file, which is empty.
	Fetch(ctx context.Context, href string, to *os.File) error
}

// Config says where templates are kept and what goes into them beside kernel and ramdisk.
type Config struct {
	// Dir holds the templates. Nobody else writes there.
	Dir string
	// Keep is how many templates that no node uses stay for the next one.
	Keep int
	// GrubConfigPath is where the boot loader in the ESP image looks for its configuration ([DEFAULT]grub_config_path).
	GrubConfigPath string
	// IsolinuxBin and LdlinuxC32 are the files that make an ISO start in BIOS mode ([DEFAULT]isolinux_bin, ldlinux_c32).
	// An empty one is looked for where distributions have it.
	IsolinuxBin, LdlinuxC32 string
	// AgentCAFile is the CA bundle that agents shall trust ironic-api with ([agent]api_ca_file); empty for none.
	AgentCAFile string
}

// Request describes the ISO of one node.
type Request struct {
	// Kernel, Ramdisk and, in UEFI mode, Bootloader (a FAT image of an EFI system partition) are hrefs.
	Kernel, Ramdisk, Bootloader string
	// Mode is store.BootModeUEFI or store.BootModeBIOS.
	Mode string
	// Parameters is the kernel command line. It may hold the agent's token and is a secret.
	Parameters string
	// Publisher is a UUID that the ISO and the command line on it share: an agent takes its settings from no other ISO. One
	// that is made again for a machine that may have read the first has to have the same. "" makes a new one.
	Publisher string
	// Instance tells that the ISO boots an instance and no agent: nothing for an agent is on it.
	Instance bool
	// NetworkData is Nova's network_data.json for the node, nil for none.
	NetworkData []byte
}

// MaxParameters is the longest kernel command line: 2048 bytes with the final zero is what x86 and arm64 kernels take.
const MaxParameters = 2047

// Builder makes Images. It is safe for concurrent use.
type Builder struct {
	cfg   Config
	files Files
	log   zerolog.Logger

	mu     sync.Mutex
	ready  map[string]*template
	making map[string]*flight
}

// template is a finished file in Dir.
type template struct {
	path  string
	users int
	used  time.Time
}

// flight is a template in the making. Others that want the same one wait for done and then read err.
type flight struct {
	done chan struct{}
	err  error
}

const (
	suffix    = ".iso"
	workspace = "build-"
)

// Open returns a Builder that goes on with the templates found in the directory.
func Open(cfg Config, files Files, log zerolog.Logger) (*Builder, error) {
	if err := os.MkdirAll(cfg.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("preparing the folder for boot ISOs: %w", err)
	}
	entries, err := os.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("reading the folder for boot ISOs: %w", err)
	}
	b := &Builder{cfg: cfg, files: files, log: log, ready: map[string]*template{}, making: map[string]*flight{}}
	for _, entry := range entries {
		path := filepath.Join(cfg.Dir, entry.Name())
		info, err := entry.Info()
		switch key, whole := strings.CutSuffix(entry.Name(), suffix); {
		case err != nil:
		case whole && info.Mode().IsRegular() && isKey(key):
			b.ready[key] = &template{path: path, used: info.ModTime()}
		case strings.HasPrefix(entry.Name(), workspace):
			// Left by a worker that died while it built.
			if err := os.RemoveAll(path); err != nil {
				return nil, fmt.Errorf("removing an unfinished boot ISO: %w", err)
			}
		}
	}
	return b, nil
}

// Build returns the ISO of a node. The caller closes it when nobody reads it any more.
func (b *Builder) Build(ctx context.Context, r Request) (*Image, error) {
	if n := len(r.Parameters); n > MaxParameters {
		return nil, failed("the kernel command line has %d bytes, a kernel takes %d at most", n, MaxParameters)
	}
	if strings.ContainsAny(r.Parameters, "\n\r\x00") {
		return nil, failed("the kernel command line has more than one line")
	}
	plan, err := b.plan(r)
	if err != nil {
		return nil, err
	}
	publisher := cmp.Or(r.Publisher, uuid.NewString())
	slots := plan.fill(r, publisher)
	key, err := b.key(ctx, plan)
	if err != nil {
		return nil, err
	}
	t, err := b.obtain(ctx, key, plan.write)
	if err != nil {
		return nil, err
	}
	patches, err := layOver(t.path, slots, publisher)
	if err != nil {
		b.release(t)
		return nil, err
	}
	return &Image{builder: b, template: t, patches: patches}, nil
}

// Fetch returns an ISO that somebody else built, as it is.
func (b *Builder) Fetch(ctx context.Context, href string) (*Image, error) {
	plan := &plan{builder: b, parts: map[string]string{"iso": href}}
	key, err := b.key(ctx, plan)
	if err != nil {
		return nil, err
	}
	t, err := b.obtain(ctx, key, func(ctx context.Context, dir string) (string, error) {
		path := filepath.Join(dir, "ready")
		return path, b.download(ctx, href, path)
	})
	if err != nil {
		return nil, err
	}
	return &Image{builder: b, template: t}, nil
}

// isKey keeps files of others, who were not to write here, from being taken for templates and removed.
func isKey(name string) bool {
	sum, err := hex.DecodeString(name)
	return err == nil && len(sum) == keyLength
}

// keyLength is that of a template's name, in bytes.
const keyLength = 16

// layout changes whenever templates of an older build of this program cannot be used.
const layout = "1"

// key names a template by everything that is in it.
func (b *Builder) key(ctx context.Context, p *plan) (string, error) {
	sum := sha256.New()
	add := func(text string) {
		_ = binary.Write(sum, binary.LittleEndian, int64(len(text)))
		_, _ = io.WriteString(sum, text) // a hash takes everything
	}
	add(layout)
	for _, path := range slices.Sorted(maps.Keys(p.parts)) {
		revision, err := b.files.Revision(ctx, p.parts[path])
		if err != nil {
			return "", err
		}
		if revision == "" {
			revision = time.Now().Truncate(time.Minute).UTC().String()
		}
		add(path)
		add(p.parts[path])
		add(revision)
	}
	for _, path := range slices.Sorted(maps.Keys(p.fixed)) {
		add(path)
		add(string(p.fixed[path]))
	}
	for _, path := range slices.Sorted(maps.Keys(p.slots)) {
		add(path)
		add(fmt.Sprint(p.slots[path]))
	}
	add(p.boot.mode + p.label)
	return hex.EncodeToString(sum.Sum(nil)[:keyLength]), nil
}

// obtain returns a template for use, and has it made when there is none. One caller makes it, the others wait; they share
// its failure, unless it was only that the maker was called off.
func (b *Builder) obtain(ctx context.Context, key string, write func(context.Context, string) (string, error)) (*template, error) {
	for {
		b.mu.Lock()
		if t := b.ready[key]; t != nil {
			t.users++
			t.used = time.Now()
			b.mu.Unlock()
			return t, nil
		}
		f, busy := b.making[key]
		if !busy {
			f = &flight{done: make(chan struct{})}
			b.making[key] = f
		}
		b.mu.Unlock()
		if !busy {
			b.make(ctx, key, f, write)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if f.err != nil && (!busy || !errors.Is(f.err, context.Canceled) && !errors.Is(f.err, context.DeadlineExceeded)) {
			return nil, f.err
		}
	}
}

func (b *Builder) make(ctx context.Context, key string, f *flight, write func(context.Context, string) (string, error)) {
	path, err := b.build(ctx, key, write)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.ready[key] = &template{path: path, used: time.Now()}
	}
	f.err = err
	delete(b.making, key)
	close(f.done)
}

// build has a file written in a folder of its own and moves it to its place when it is whole and on the disk.
func (b *Builder) build(ctx context.Context, key string, write func(context.Context, string) (string, error)) (string, error) {
	dir, err := os.MkdirTemp(b.cfg.Dir, workspace)
	if err != nil {
		return "", failed("%w", err)
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			b.log.Warn().Err(err).Msg("The parts of a boot ISO could not be removed")
		}
	}()
	part, err := write(ctx, dir)
	if err != nil {
		return "", err
	}
	if err := flush(part); err != nil {
		return "", failed("%w", err)
	}
	path := filepath.Join(b.cfg.Dir, key+suffix)
	if err := os.Rename(part, path); err != nil {
		return "", failed("%w", err)
	}
	return path, nil
}

func flush(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// release gives a template back and removes those that nobody used for longest. Whoever still reads one goes on reading.
func (b *Builder) release(t *template) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.users--
	t.used = time.Now()
	var idle []string
	for key, t := range b.ready {
		if t.users == 0 {
			idle = append(idle, key)
		}
	}
	slices.SortFunc(idle, func(x, y string) int { return b.ready[y].used.Compare(b.ready[x].used) })
	for i, key := range idle {
		if i < b.cfg.Keep {
			continue
		}
		if err := os.Remove(b.ready[key].path); err != nil {
			b.log.Warn().Err(err).Msg("An unused boot ISO could not be removed")
		}
		delete(b.ready, key)
	}
}

// download fetches a file that must not be empty.
func (b *Builder) download(ctx context.Context, href, path string) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return failed("%w", err)
	}
	err = b.files.Fetch(ctx, href, file)
	info, statErr := file.Stat()
	if closing := file.Close(); err == nil && (closing != nil || statErr != nil) {
		err = failed("%w", errors.Join(closing, statErr))
	}
	if err == nil && info.Size() == 0 {
		err = failed("%s is empty", filepath.Base(path))
	}
	return err
}

// failed is ironic's ImageCreationFailed.
func failed(format string, args ...any) error {
	cause := fmt.Errorf(format, args...)
	return store.Errorf(store.ImageCreationFailed, "Creating iso image failed: %w", cause)
}
