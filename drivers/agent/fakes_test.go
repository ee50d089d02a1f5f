package agent

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/fake"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/noop"
	"github.com/ironmaster/ironmaster/store"
)

// worker stands in for the conductor: it remembers what it was asked for.
type worker struct {
	drivers.Worker
	saves    int
	power    []string
	mu       sync.Mutex
	journal  map[string][]byte
	reported []string
	saveErr  error
	powerErr error
	ports    []*store.Port
	targets  []*store.VolumeTarget
}

func (w *worker) Save(context.Context, *drivers.Task) error                   { w.saves++; return w.saveErr }
func (w *worker) Ports(context.Context, *drivers.Task) ([]*store.Port, error) { return w.ports, nil }
func (w *worker) VolumeTargets(context.Context, *drivers.Task) ([]*store.VolumeTarget, error) {
	return w.targets, nil
}
func (w *worker) DestroyVolumeTarget(context.Context, *drivers.Task, *store.VolumeTarget) error {
	w.targets = w.targets[1:]
	return nil
}
func (w *worker) SetPower(_ context.Context, t *drivers.Task, target string) error {
	w.power = append(w.power, target)
	t.Node.PowerState = target
	return w.powerErr
}
func (w *worker) Report(_ *drivers.Task, p drivers.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reported = append(w.reported, p.Doing)
}
func (w *worker) said(doing string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.reported, doing)
}
func (w *worker) Journal(*drivers.Task) drivers.Journal { return w }
func (w *worker) Put(_ context.Context, key string, value any) error {
	text, err := json.Marshal(value)
	w.journal[key] = text
	return err
}
func (w *worker) Get(_ context.Context, key string, into any) (bool, error) {
	text, ok := w.journal[key]
	if !ok {
		return false, nil
	}
	return true, json.Unmarshal(text, into)
}

// boot remembers the order of what it was asked for.
type boot struct {
	*fake.Boot
	calls  *[]string
	params map[string]string
	err    error
}

func (b *boot) PrepareRamdisk(_ context.Context, _ *drivers.Task, params map[string]string) error {
	b.params = params
	*b.calls = append(*b.calls, "prepare_ramdisk")
	return b.err
}
func (b *boot) PrepareInstance(context.Context, *drivers.Task) error {
	*b.calls = append(*b.calls, "prepare_instance")
	return b.err
}

// management remembers the boot device.
type management struct {
	*noop.Management
	device     string
	persistent bool
	err        error
}

func (m *management) SetBootDevice(_ context.Context, _ *drivers.Task, device string, persistent bool) error {
	m.device, m.persistent = device, persistent
	return m.err
}

// images is the image service, with one image.
type images struct {
	*image.Service
	meta image.Metadata
	err  error
}

func (i images) Show(context.Context, image.Ref) (image.Metadata, error) { return i.meta, i.err }

// publisher serves one image.
type publisher struct {
	wish      ServeRequest
	served    Served
	withdrawn []string
	resumed   []string
	// gone tells that the node's URL is another worker's.
	gone bool
	err  error
}

func (p *publisher) Serve(_ context.Context, _ *drivers.Task, wish ServeRequest) (Served, error) {
	p.wish = wish
	return p.served, p.err
}
func (p *publisher) Resume(_ context.Context, t *drivers.Task) (bool, error) {
	p.resumed = append(p.resumed, t.Node.UUID)
	return !p.gone, nil
}
func (p *publisher) Withdraw(_ context.Context, t *drivers.Task) error {
	p.withdrawn = append(p.withdrawn, t.Node.UUID)
	return nil
}

// rig is a deploy interface with everything around it faked.
type rig struct {
	deploy     *Deploy
	task       *drivers.Task
	worker     *worker
	boot       *boot
	management *management
	publisher  *publisher
	images     *images
	calls      []string
}

func newRig(t *testing.T, cfg Config, n *store.Node) *rig {
	t.Helper()
	service, err := image.New(image.DefaultConfig(), zerologNop())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{worker: &worker{journal: map[string][]byte{}}, publisher: &publisher{}, images: &images{Service: service},
		management: &management{Management: noop.NewManagement()}}
	r.boot = &boot{Boot: fake.NewBoot(fake.Config{}), calls: &r.calls}
	r.deploy = New(cfg, r.images, r.publisher)
	r.task = &drivers.Task{Node: n, Worker: r.worker, Log: zerologNop(), Hardware: &drivers.Hardware{
		Boot: r.boot, Deploy: r.deploy, Management: r.management, Network: noop.NewNetwork(),
		Power: fake.NewPower(fake.Config{}), Storage: noop.NewStorage(),
	}}
	return r
}

// quick is a configuration that waits for nothing.
func quick() Config {
	c := DefaultConfig()
	c.APIURL = "http://192.0.2.1:6385"
	c.WaitInterval, c.PowerOffInterval, c.RebootPause = time.Millisecond, time.Millisecond, 0
	c.CommandTimeout = 5 * time.Second
	return c
}
