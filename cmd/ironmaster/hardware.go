package main

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/catalog"
	"github.com/ironmaster/ironmaster/drivers/graphical"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/inspector"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/drivers/neutron"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/storage"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store/sql"
)

// hardware is everything below the conductor that drives machines.
type hardware struct {
	enabled *catalog.Enabled
	images  *imageKinds
	depot   *image.Depot
	boot    *bootServers
	redfish *redfish.Client
	ipmi    *ipmi.Client
	neutron *neutron.Client
	cinder  *storage.Cinder
	// inspector is the way to ironic-inspector; nil where the release has no interface for it.
	inspector *inspector.Client
	media     *image.Media
	rules     conductor.Rules // nil where the release has none
	netboot   *networkBoot    // nil when none of its interfaces is enabled
	// consoles holds the containers of graphical consoles; nil where the release has none.
	consoles graphical.Containers
	log      zerolog.Logger
}

// openHardware builds every driver of this build and enables those that the settings name.
func openHardware(ctx context.Context, s *config.Settings, release messaging.Release, db *sql.DB, log zerolog.Logger) (
	*hardware, error) {
	boot, images := openBootServers(s, log), imageConfig(s)
	images.Server.Plain = boot.plain(s, log)
	depot, err := image.OpenDepot(ctx, images, log)
	if err != nil {
		return nil, fmt.Errorf("opening the image service: %w", err)
	}
	media, err := image.OpenMedia(filepath.Join(s.Deploy.ISOMasterPath, "ironmaster-attached"), depot.Service, depot.Server, log)
	if err != nil {
		_ = depot.Close(ctx)
		return nil, err
	}
	bmcs := redfishConfig(s, release)
	if bmcs.Updates.Files, err = openFirmwareFiles(s, depot, log); err != nil {
		_ = depot.Close(ctx)
		return nil, err
	}
	h := &hardware{depot: depot, boot: boot, media: media, redfish: redfish.New(bmcs, log),
		ipmi: ipmi.New(ipmiConfig(s, release), log), log: log}
	if err := h.enable(ctx, s, release, db); err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *hardware) enable(ctx context.Context, s *config.Settings, release messaging.Release, db *sql.DB) error {
	fakes, err := fakeConfig(s.Fake)
	if err != nil {
		return err
	}
	if h.neutron, err = newNeutronClient(s); err != nil {
		return err
	}
	if h.cinder, err = newCinder(s.Cinder, release); err != nil {
		return err
	}
	provider, err := newDHCPProvider(s, h.neutron)
	if err != nil {
		return err
	}
	networks, err := networkConfig(s, release, provider.SetClientID)
	if err != nil {
		return err
	}
	fakes.LogPassthrough = release >= messaging.V2025_1
	agentCfg := agentConfig(s, h.apiURL(ctx, s))
	agentCfg.CleanDHCP = provider.Clean
	if release >= messaging.V2024_1 {
		agentCfg.ImageCredentials = imageCredentials(s.Deploy)
	}
	agentCfg.TokenOnReads, agentCfg.NotesBoot = release >= messaging.V2025_1, release > messaging.V2025_2
	direct := agent.New(agentCfg, image.Patient{Service: h.depot.Service}, agent.NewDepot(h.depot))
	isos, err := openRamdisks(s, release, h.depot, direct.Running, h.log)
	if err != nil {
		return err
	}
	overISCSI, err := openISCSI(agentCfg, s, h.depot)
	if err != nil {
		return err
	}
	wanted, err := explicitLists(s)
	if err == nil {
		err = checkAutodetect(s.Default)
	}
	if err != nil {
		return err
	}
	molds, err := openMolds(s, release)
	if err != nil {
		return err
	}
	if h.consoles, err = openContainers(ctx, s, release); err != nil {
		return err
	}
	parts := catalog.Parts{
		Fake: fakes, BIOSSettings: db,
		Deploys:           deployInterfaces(direct, overISCSI, release, s.Default.AutodetectDeploy),
		AgentPower:        agent.NewPower(agentCfg),
		AgentRAID:         agent.NewRAID(),
		AgentRescue:       agent.NewRescue(agentCfg),
		RedfishPower:      redfish.NewPower(h.redfish),
		RedfishManagement: redfish.NewManagement(h.redfish, s.Deploy.DefaultBootMode),
		VirtualMedia:      redfish.NewVirtualMedia(h.redfish, isos.config, isos.isos, isos.publisher),
		Vendors: openVendors(h.redfish, s, release, db, molds, isos, h.ipmi).and(openIPMI(h.ipmi, release)).
			and(openSNMP(s, release, h.log)).and(openILOConsole(h.redfish, h.ipmi, s, release)),
		Flat: neutron.NewFlat(networks, h.neutron), Neutron: neutron.NewSeparate(networks, h.neutron),
		External: storage.NewExternal(release < messaging.V27_0), Cinder: h.cinder,
		Firmware: release >= messaging.V22_1, RedfishSerial: release > messaging.V2025_2,
	}
	if bootsISOByHTTP(release) {
		parts.RedfishHTTPS = redfish.NewHTTPS(h.redfish, isos.config, isos.isos, isos.publisher)
	}
	addGraphicalConsoles(&parts, s, h.redfish, h.consoles, release)
	if err := h.addNetworkBoot(s, release, provider, wanted.Interfaces[drivers.TypeBoot], agentCfg.APIURL, &parts); err != nil {
		return err
	}
	engine, err := openRules(s, release, db)
	if err != nil {
		return err
	}
	if engine != nil {
		h.rules = engine
	}
	if err := h.addInspection(s, release, agentCfg, db, &parts); err != nil {
		return err
	}
	enabled, warnings, err := catalog.Enable(catalog.New(parts), wanted)
	for _, w := range warnings {
		h.log.Warn().Msg(w)
	}
	if err != nil {
		return err
	}
	h.enabled, h.images = enabled, &imageKinds{h.depot, h.netboot}
	return nil
}

// collectors tell what the drivers know of the machines as a whole.
func (h *hardware) collectors() []prometheus.Collector {
	all := []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ironmaster_bmcs_silent", Help: "BMCs that have not answered for several requests in a row.",
	}, func() float64 { return float64(h.redfish.Silent() + h.ipmi.Silent()) })}
	if h.boot.tftp != nil {
		all = append(all, h.boot.tftp.Collectors()...)
	}
	return all
}

// apiURL is where ramdisks reach ironic-api: as configured, else as the catalogue has it.
func (h *hardware) apiURL(ctx context.Context, s *config.Settings) string {
	if url := firstOf(s.Deploy.ExternalCallbackURL, s.Catalog.EndpointOverride, s.API.PublicEndpoint); url != "" {
		return url
	}
	ctx, cancel := context.WithTimeout(ctx, catalogTimeout)
	defer cancel()
	url, err := image.FindEndpoint(ctx, serviceConfig("service_catalog", s.Catalog.Auth, s.Catalog.ServiceType))
	if err != nil {
		h.log.Warn().Err(err).Msg("The address of ironic-api is not known, so no ramdisk can call back: set " +
			"[service_catalog]endpoint_override, or its credentials")
		return ""
	}
	return url
}

const catalogTimeout = 30 * time.Second

const closeTimeout = 10 * time.Second

func (h *hardware) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := h.boot.close(ctx); err != nil {
		h.log.Warn().Err(err).Msg("The TFTP server was cut off")
	}
	if h.netboot != nil {
		h.netboot.kernels.Close()
	}
	if h.cinder != nil {
		h.cinder.Close()
	}
	if h.inspector != nil {
		h.inspector.Close()
	}
	if h.neutron != nil {
		h.neutron.Close()
	}
	if err := h.depot.Close(ctx); err != nil {
		h.log.Error().Err(err).Msg("Closing the image service failed")
	}
	h.redfish.Close(ctx)
}

// explicitLists tells the lists that an operator wrote from those that nobody did: a list that differs from the default
// of the release was written.
func explicitLists(s *config.Settings) (catalog.Config, error) {
	plain, _, err := config.Load(config.Inputs{Release: s.Release, Root: noFiles{}, Hostname: func() (string, error) {
		return s.Default.Host, nil
	}, Address: func() string { return s.Default.MyIP }})
	if err != nil {
		return catalog.Config{}, fmt.Errorf("reading the defaults: %w", err)
	}
	wanted, defaults := enabledConfig(s.Default), enabledConfig(plain.Default)
	wanted.HardwareTypes.Explicit = !slices.Equal(wanted.HardwareTypes.Names, defaults.HardwareTypes.Names)
	for typ, list := range wanted.Interfaces {
		list.Explicit = !slices.Equal(list.Names, defaults.Interfaces[typ].Names)
		wanted.Interfaces[typ] = list
	}
	return wanted, nil
}

// imageKinds is conductor.Images: which kind of image a node is to get.
type imageKinds struct {
	depot   *image.Depot
	netboot *networkBoot
}

func (*imageKinds) IsGlance(ref string) bool { return image.IsGlance(ref) }

func (k *imageKinds) InferKind(ctx context.Context, t *drivers.Task) (bool, string, error) {
	d, err := k.depot.Kind(ctx, t.Node.InstanceInfo, image.RequesterOf(t))
	if err != nil {
		return false, "", err
	}
	return d.Apply(t.Node.InstanceInfo, t.Node.DriverInternalInfo), d.Reason, nil
}

// CleanUp releases what nodes hold that are no longer being deployed, then what no node needs. The holders are listed
// before their states are: a node that begins its deployment in between is not among them.
func (k *imageKinds) CleanUp(ctx context.Context, deploying func(context.Context) (map[string]bool, error)) error {
	owners, err := k.depot.Cache.Owners()
	if err != nil {
		return err
	}
	busy, err := deploying(ctx)
	if err != nil {
		return err
	}
	for _, node := range owners {
		if _, err := uuid.Parse(node); busy[node] || err != nil {
			// What is not named after a node was put there by somebody else.
			continue
		}
		if err := k.depot.Cache.Release(node); err != nil {
			return fmt.Errorf("releasing the image of node %s: %w", node, err)
		}
	}
	k.depot.Cache.CleanUp()
	if k.netboot != nil {
		k.netboot.kernels.CleanUp()
	}
	return nil
}

func (k *imageKinds) Served() []string { return k.depot.Server.Nodes() }

func (k *imageKinds) Away() map[string]conductor.Absence {
	all := map[string]conductor.Absence{}
	for _, a := range k.depot.Away() {
		all[a.Service] = conductor.Absence{Since: a.Since, Reason: a.Reason}
	}
	return all
}

// noFiles is a file system without files.
type noFiles struct{}

func (noFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
