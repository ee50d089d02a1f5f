package redfish

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/bootiso"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// Publisher serves boot ISOs to BMCs.
type Publisher interface {
	// PublishISO makes content readable for the node's BMC under a URL that nobody can guess, until WithdrawISO. The URL
	// ends in .iso, because some BMCs look at that. A node has one boot ISO; a new one takes the place of the old. secret is
	// the part of the URL that cannot be guessed: given back after a restart, it makes the same URL again; "" asks for a new
	// one.
	PublishISO(ctx context.Context, t *drivers.Task, content Content, secret string) (Published, error)
	// WithdrawISO takes a node's boot ISO back. That none is published is no error.
	WithdrawISO(ctx context.Context, node *store.Node) error
	// PublishDrive and WithdrawDrive are the same for the config drive of an instance that runs from an ISO.
	PublishDrive(ctx context.Context, t *drivers.Task, content []byte, secret string) (Published, error)
	WithdrawDrive(ctx context.Context, node *store.Node) error
}

// Published is where a BMC finds an ISO, and what that place takes to be made again.
type Published struct{ URL, Secret string }

// Content is an ISO that is read again and again, from anywhere in it.
type Content interface {
	Open() (io.ReadSeekCloser, error)
}

// VirtualMediaConfig holds the options of booting from virtual media.
type VirtualMediaConfig struct {
	// Vendor is the word that the vendor's keys of driver_info begin with, which stood before deploy_iso and its like formerly:
	// redfish by default. Name is what errors call this way of booting.
	Vendor, Name string
	// NeedsBootloader has nodes without a ready-made ISO name a bootloader too, whatever their boot mode. AsksForISO has nodes that name
	// nothing told that the ISO is missing. Both are what ironic's interfaces of some vendors do.
	NeedsBootloader, AsksForISO bool
	// Images are for nodes whose driver_info names none ([conductor]deploy_kernel and so on).
	Images Images
	// ImagesByArch win over Images, by properties.cpu_arch ([conductor]deploy_kernel_by_arch and so on).
	ImagesByArch map[string]Images
	// KernelAppendParams is [redfish]kernel_append_params, or that of the vendor's group.
	KernelAppendParams string
	// DefaultBootMode is [deploy]default_boot_mode.
	DefaultBootMode string
	// DownloadSource is [deploy]ramdisk_image_download_source: with local a ready-made ISO is served by this worker, with
	// anything else a BMC that can reach its URL does so.
	DownloadSource string
	// CallbackURL is [deploy]external_callback_url: ironic-api's address for agents behind virtual media.
	CallbackURL string
	// InspectsByDHCP leaves network data out of ISOs for inspections ([inspector]force_dhcp): the ramdisk asks on all network cards.
	InspectsByDHCP bool
	// Debug makes agents log everything.
	Debug bool
	// AgentRuns tells whether an agent runs on the node and is to be used again (fast track). Nil stands for never.
	AgentRuns func(context.Context, *drivers.Task) bool
	// Sources and Downloads are for instances that run from an ISO: what Glance tells of their images, and where their config
	// drives come from.
	Sources   image.Sources
	Downloads image.Downloader
}

// Images are the hrefs of what a ramdisk is booted from.
type Images struct {
	DeployKernel, DeployRamdisk string
	RescueKernel, RescueRamdisk string
	Bootloader                  string
}

// VirtualMedia is the boot interface redfish-virtual-media, and with the Machine of a vendor that vendor's: the ramdisk comes from an
// ISO that the BMC shows to the machine as a CD. It needs no DHCP and no TFTP, and the agent's token travels on the ISO alone.
type VirtualMedia struct {
	machine   Machine
	cfg       VirtualMediaConfig
	isos      *bootiso.Builder
	publisher Publisher

	mu sync.Mutex
	// published are the ISOs that this worker serves, by node. After a restart Resume makes them again.
	published map[string]*bootiso.Image
}

// NewVirtualMedia returns the boot interface redfish-virtual-media.
func NewVirtualMedia(c *Client, cfg VirtualMediaConfig, isos *bootiso.Builder, publisher Publisher) *VirtualMedia {
	cfg.Vendor, cfg.Name = "redfish", "Redfish virtual media"
	standard := NewStandard(c.Plain(), cfg.DefaultBootMode)
	standard.refuse = (*system).refuseOldDell
	return NewMedia(standard, cfg, isos, publisher)
}

// NewMedia returns a boot interface like redfish-virtual-media for another Machine.
func NewMedia(m Machine, cfg VirtualMediaConfig, isos *bootiso.Builder, publisher Publisher) *VirtualMedia {
	return &VirtualMedia{machine: m, cfg: cfg, isos: isos, publisher: publisher, published: map[string]*bootiso.Image{}}
}

// Properties describes the images that a node needs.
func (*VirtualMedia) Properties() map[string]string {
	return map[string]string{
		"deploy_kernel": "URL or Glance UUID of the deployment kernel. Required if deploy_iso is not set.",
		"deploy_ramdisk": "URL or Glance UUID of the ramdisk that is mounted at boot time. Required if deploy_iso is " +
			"not set.",
		"deploy_iso": "URL or Glance UUID of the deployment ISO to use. Required if deploy_kernel/deploy_ramdisk are not set.",
	}
}

// Steps offers none.
func (*VirtualMedia) Steps(drivers.StepKind) []drivers.Step { return nil }

// Capabilities are those of ironic's redfish-virtual-media.
func (*VirtualMedia) Capabilities() []string {
	return []string{drivers.CanBootISCSI, drivers.CanBootRamdisk, drivers.CanBootRamdiskWithDrive}
}

// Validate checks that there is something to boot from and a BMC.
func (v *VirtualMedia) Validate(ctx context.Context, t *drivers.Task) error {
	if drivers.NeedsAgent(t) {
		if _, err := v.media(t.Node); err != nil {
			return err
		}
		if err := v.machine.Validate(ctx, t); err != nil {
			return err
		}
	}
	if drivers.InstanceBoot(t.Node) == drivers.BootLocal {
		return nil
	}
	if writes, err := t.Hardware.Storage.ShouldWriteImage(ctx, t); err != nil || !writes {
		return err
	}
	return v.cfg.Sources.ValidateBoot(ctx, v.wish(t))
}

// ValidateRamdisk checks that there is a ramdisk for a deployment, for vendors whose interfaces check in another order than Validate.
func (v *VirtualMedia) ValidateRamdisk(n *store.Node) error {
	_, err := v.mediaFor(n, "deploy")
	return err
}

// ValidateInstance checks that an instance names what it boots, or what is written to the disk that it boots.
func (v *VirtualMedia) ValidateInstance(ctx context.Context, t *drivers.Task) error {
	wish := v.wish(t)
	wish.Local = drivers.InstanceBoot(t.Node) == drivers.BootLocal
	return v.cfg.Sources.ValidateBoot(ctx, wish)
}

// own is what a node's driver_info says, under today's key or the vendor's of old.
func (v *VirtualMedia) own(n *store.Node, key string) string {
	return cmp.Or(n.DriverInfo.String(key), n.DriverInfo.String(v.cfg.Vendor+"_"+key))
}

// ValidateRescue checks that there is a ramdisk for a rescue.
func (v *VirtualMedia) ValidateRescue(_ context.Context, t *drivers.Task) error {
	_, err := v.mediaFor(t.Node, "rescue")
	return err
}

// ValidateInspection checks that there is a ramdisk for an inspection.
func (v *VirtualMedia) ValidateInspection(_ context.Context, t *drivers.Task) error {
	_, err := v.media(t.Node)
	return err
}

// bootMedia is what a node boots its ramdisk from: a ready-made ISO, or the parts of one.
type bootMedia struct {
	iso                         string
	kernel, ramdisk, bootloader string
}

// media are the images of the flow that the node is in.
func (v *VirtualMedia) media(n *store.Node) (bootMedia, error) {
	if drivers.RescueMode(n) {
		return v.mediaFor(n, "rescue")
	}
	return v.mediaFor(n, "deploy")
}

// mediaFor chooses a node's images as ironic does: an ISO before kernel and ramdisk, and kernel and ramdisk both from
// driver_info or both from the configuration.
func (v *VirtualMedia) mediaFor(n *store.Node, mode string) (bootMedia, error) {
	own := func(key string) string { return v.own(n, key) }
	if iso := own(mode + "_iso"); iso != "" {
		return bootMedia{iso: iso}, nil
	}
	arch := v.cfg.ImagesByArch[n.Properties.String("cpu_arch")]
	m := bootMedia{kernel: own(mode + "_kernel"), ramdisk: own(mode + "_ramdisk"),
		bootloader: cmp.Or(own("bootloader"), arch.Bootloader, v.cfg.Images.Bootloader)}
	if m.kernel == "" || m.ramdisk == "" {
		m.kernel = cmp.Or(arch.DeployKernel, v.cfg.Images.DeployKernel)
		m.ramdisk = cmp.Or(arch.DeployRamdisk, v.cfg.Images.DeployRamdisk)
		if mode == "rescue" {
			m.kernel = cmp.Or(arch.RescueKernel, v.cfg.Images.RescueKernel)
			m.ramdisk = cmp.Or(arch.RescueRamdisk, v.cfg.Images.RescueRamdisk)
		}
	}
	if missing := v.missing(m, mode); len(missing) > 0 {
		return bootMedia{}, store.Errorf(store.MissingParameterValue, "Error validating %s. Some parameters were missing in "+
			"node's driver_info. Missing are: [%s]", strings.ReplaceAll(v.cfg.Name, "%s", mode), strings.Join(missing, ", "))
	}
	return m, nil
}

// missing are the quoted names of the parts that a node without an ISO lacks.
func (v *VirtualMedia) missing(m bootMedia, mode string) (names []string) {
	if m.kernel == "" {
		names = append(names, "'"+mode+"_kernel'")
	}
	if m.ramdisk == "" {
		names = append(names, "'"+mode+"_ramdisk'")
	}
	if v.cfg.NeedsBootloader && m.bootloader == "" {
		names = append(names, "'bootloader'")
	}
	if v.cfg.AsksForISO && len(names) > 0 {
		return []string{"'" + mode + "_iso'"}
	}
	return names
}

// PrepareRamdisk switches the machine off, puts the ramdisk's ISO into its virtual drive and sets it to boot from there once.
// It may run again at any time: what is there already stays.
func (v *VirtualMedia) PrepareRamdisk(ctx context.Context, t *drivers.Task, params map[string]string) error {
	if !slices.Contains(ramdiskStates, t.Node.ProvisionState) {
		return nil
	}
	media, err := v.media(t.Node)
	if err != nil {
		return err
	}
	ready, err := v.ready(ctx, t)
	if err != nil || ready {
		return err
	}
	params = maps.Clone(params)
	if params == nil {
		params = map[string]string{}
	}
	if media.iso == "" {
		if params["ipa-agent-token"], err = drivers.PregenerateAgentToken(ctx, t); err != nil {
			return err
		}
	}
	if err := t.Worker.SetPower(ctx, t, store.PowerOff); err != nil {
		return err
	}
	if err := v.machine.Ready(ctx, t); err != nil {
		return err
	}
	promise, err := v.promise(ctx, t, params)
	if err != nil {
		return err
	}
	url, err := v.provide(ctx, t, media, promise)
	if err != nil {
		return err
	}
	// gofail: var isoPromised struct{}
	return v.machine.Load(ctx, t, url, false)
}

// promise is what goes onto an ISO that is built for the node. params are the caller's own.
func (v *VirtualMedia) promise(ctx context.Context, t *drivers.Task, params map[string]string) (isoPromise, error) {
	mac, err := drivers.ConnectedMAC(ctx, t)
	if err != nil {
		return isoPromise{}, err
	}
	if mac != "" {
		params["BOOTIF"] = mac
	}
	p := isoPromise{Parameters: v.parameters(t, params), Publisher: uuid.NewString()}
	if state := t.Node.ProvisionState; v.cfg.InspectsByDHCP && (state == store.Inspecting || state == store.InspectWait) {
		return p, nil
	}
	network, err := t.Hardware.Network.NetworkData(ctx, t)
	if err != nil || len(network) == 0 {
		return p, err
	}
	if p.Network, err = store.AppendJSON(nil, map[string]any(network)); err != nil {
		return p, fmt.Errorf("encoding the network data: %w", err)
	}
	return p, nil
}

// ramdiskStates are those in which a node is on its way to a ramdisk. In every other, such as a takeover of a running node,
// virtual media stay as they are.
var ramdiskStates = []string{store.Deploying, store.DeployWait, store.Cleaning, store.CleanWait, store.Rescuing,
	store.RescueWait, store.Inspecting, store.InspectWait, store.Servicing, store.ServiceWait}

// ready refuses machines that cannot boot this way, and tells whether an agent runs already, from an ISO still inserted.
func (v *VirtualMedia) ready(ctx context.Context, t *drivers.Task) (ready bool, err error) {
	if err := v.machine.Fit(ctx, t); err != nil || !v.agentRuns(ctx, t) {
		return false, err
	}
	ready, err = v.machine.Loaded(ctx, t)
	if err == nil && !ready {
		t.Log.Warn().Msg("an agent runs but no ISO is inserted; booting anew")
	}
	return ready, err
}

func (v *VirtualMedia) agentRuns(ctx context.Context, t *drivers.Task) bool {
	return v.cfg.AgentRuns != nil && v.cfg.AgentRuns(ctx, t)
}

// parameters builds the kernel command line: what the node or else the configuration appends, and then the agent's.
func (v *VirtualMedia) parameters(t *drivers.Task, params map[string]string) string {
	line := v.cfg.KernelAppendParams
	for _, place := range []store.Dict{t.Node.InstanceInfo, t.Node.DriverInfo} {
		if value, given := place["kernel_append_params"].(string); given {
			line = strings.ReplaceAll(value, "%default%", line)
			break
		}
	}
	words := []string{strings.NewReplacer("\n", "", "\r", "", "\x00", "").Replace(line)}
	params["boot_method"] = "vmedia"
	if v.cfg.CallbackURL != "" {
		params["ipa-api-url"] = strings.TrimRight(v.cfg.CallbackURL, "/")
	}
	if _, given := params["ipa-debug"]; !given && v.cfg.Debug {
		params["ipa-debug"] = "1"
	}
	if t.GlobalRequestID != "" {
		params["ipa-global-request-id"] = t.GlobalRequestID
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		words = append(words, name+"="+params[name])
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

// provide returns the URL that the BMC is to take the ISO from. What the worker serves itself it remembers.
func (v *VirtualMedia) provide(ctx context.Context, t *drivers.Task, media bootMedia, p isoPromise) (string, error) {
	var image *bootiso.Image
	var err error
	switch {
	case media.iso == "":
		image, err = v.build(ctx, t, media, p)
	case v.cfg.DownloadSource != "local" && isWeb(media.iso):
		return media.iso, nil
	default:
		t.Log.Debug().Msg("using a ready-made ISO: what this worker would tell the agent is not on it")
		if t.Node.DriverInfo.Bool("config_via_removable", t.Node.DriverInfo.Bool("config_via_floppy", false)) {
			t.Log.Warn().Msg("config_via_removable has no effect: the agent of a ready-made ISO is not told anything")
		}
		image, err = v.isos.Fetch(ctx, media.iso)
	}
	if err != nil {
		return "", err
	}
	published, err := v.publish(ctx, t, image, p.Secret)
	if err != nil {
		return "", err
	}
	// gofail: var isoPublished struct{}

	// This is written down before the BMC hears of it: a restart from here on serves the same ISO at the same URL.
	p.Secret = published.Secret
	return published.URL, t.Worker.Journal(t).Put(ctx, journalISO, p)
}

func (v *VirtualMedia) publish(ctx context.Context, t *drivers.Task, image *bootiso.Image, secret string) (Published, error) {
	published, err := v.publisher.PublishISO(ctx, t, image, secret)
	if err != nil {
		image.Close()
		return published, fmt.Errorf("publishing the boot ISO: %w", err)
	}
	v.hold(t.Node, image)
	return published, nil
}

// journalISO is the key under which this worker remembers the boot ISO that a BMC was shown.
const journalISO = "redfish.boot_iso"

// isoPromise is what an ISO takes to be served again: the secret part of its URL, the kernel command line on it, and the name
// that a machine which has read the command line looks for it by.
type isoPromise struct {
	Secret     string `json:"secret"`
	Parameters string `json:"parameters"`
	Publisher  string `json:"publisher"`
	// Network is the node's network_data.json, to the byte: the machine may be in the middle of reading.
	Network []byte `json:"network,omitempty"`
	// Instance tells that the ISO is an instance's and no ramdisk's, Drive is the secret part of the URL of its config drive.
	Instance bool   `json:"instance,omitempty"`
	Drive    string `json:"drive,omitempty"`
}

// Resume serves the ISO again that a machine may be about to read, after this worker was restarted. A node whose ISO is
// served already, comes from elsewhere or has been ejected is left alone.
func (v *VirtualMedia) Resume(ctx context.Context, t *drivers.Task) error {
	var promise isoPromise
	found, err := t.Worker.Journal(t).Get(ctx, journalISO, &promise)
	if err != nil || !found || promise.Secret == "" || promise.Instance || v.holds(t.Node) {
		return err
	}
	media, err := v.media(t.Node)
	if err != nil {
		return err
	}
	_, err = v.provide(ctx, t, media, promise)
	return err
}

func (v *VirtualMedia) holds(n *store.Node) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.published[n.UUID] != nil
}

func (v *VirtualMedia) build(ctx context.Context, t *drivers.Task, media bootMedia, p isoPromise) (*bootiso.Image, error) {
	mode, err := drivers.BootMode(t.Node, v.cfg.DefaultBootMode)
	if err != nil {
		return nil, err
	}
	request := bootiso.Request{Kernel: media.kernel, Ramdisk: media.ramdisk, Bootloader: media.bootloader, Mode: mode,
		Parameters: p.Parameters, Publisher: p.Publisher, NetworkData: p.Network}
	t.Worker.Report(t, drivers.Progress{Doing: "building the boot ISO"})
	return v.isos.Build(ctx, request)
}

// hold keeps an image alive for as long as it is published, and lets go of the one before. nil lets go only.
func (v *VirtualMedia) hold(n *store.Node, image *bootiso.Image) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if old := v.published[n.UUID]; old != nil {
		old.Close()
	}
	delete(v.published, n.UUID)
	if image != nil {
		v.published[n.UUID] = image
	}
}

// CleanUpRamdisk ejects the ISO and stops serving it. An agent that is to be used again keeps it.
func (v *VirtualMedia) CleanUpRamdisk(ctx context.Context, t *drivers.Task) error {
	if t.Node.ProvisionState == store.Adopting || v.agentRuns(ctx, t) {
		return nil
	}
	return v.eject(ctx, t)
}

// eject empties the drives. The ISO is withdrawn also when the BMC does not do its part: the token on it has served.
func (v *VirtualMedia) eject(ctx context.Context, t *drivers.Task) error {
	err := cmp.Or(v.machine.Unload(ctx, t), v.detachDrive(ctx, t))
	// gofail: var isoEjected struct{}
	withdrawn := v.publisher.WithdrawISO(ctx, t.Node)
	v.hold(t.Node, nil)
	return cmp.Or(err, withdrawn, t.Worker.Journal(t).Put(ctx, journalISO, isoPromise{}))
}

// CleanUpInstance undoes what PrepareInstance did for one instance alone.
func (v *VirtualMedia) CleanUpInstance(ctx context.Context, t *drivers.Task) error {
	if t.Node.ProvisionState == store.Adopting {
		return nil
	}
	if err := v.eject(ctx, t); err != nil {
		return err
	}
	return v.machine.Release(ctx, t)
}

var (
	_ drivers.Boot    = (*VirtualMedia)(nil)
	_ drivers.Capable = (*VirtualMedia)(nil)
)
