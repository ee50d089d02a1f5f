package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/objects"
	"github.com/ironmaster/ironmaster/store/local"
	"github.com/ironmaster/ironmaster/store/sql"
)

func newConductorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "conductor",
		Short: "Run the conductor",
		Args:  cobra.NoArgs,
	}
	flags := addOsloFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return runConductor(cmd.Context(), flags) }
	return cmd
}

// runConductor reads the configuration, opens what a worker stands on and runs it until ctx ends.
func runConductor(ctx context.Context, flags *osloFlags) error {
	// The release is known only from the database, and the database only from the settings, whose defaults depend on the
	// release: they are read twice.
	first, _, err := flags.load(ctx, config.R2023_1)
	if err != nil {
		return err
	}
	// Fatal by default; what is read in a moment is new enough.
	signal.Ignore(syscall.SIGHUP)
	log, err := openLog(first)
	if err != nil {
		return err
	}
	defer log.Close()
	db, err := sql.Open(ctx, databaseConfig(first, log.Logger))
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer func() { _ = db.Close() }()
	release, err := messaging.ParseRelease(db.Schema().Release)
	if err != nil {
		return fmt.Errorf("the database has a schema that this build does not know: %w", err)
	}
	s, warnings, err := flags.load(ctx, configRelease(release))
	if err != nil {
		return err
	}
	for _, w := range warnings {
		log.Warn().Msg(w)
	}
	w := &workerProcess{settings: s, release: release, db: db, log: log.Logger,
		reloader: &reloader{flags: flags, release: release, log: log, settings: s}}
	if err := w.run(ctx); err != nil && !errors.Is(err, context.Canceled) {
		log.Error().Err(err).Msg("The conductor ended")
		return err
	}
	return nil
}

// workerProcess is one conductor with everything that it stands on, from the bottom up: database, local file, hardware,
// broker, the worker itself, and the address where operators look.
type workerProcess struct {
	settings *config.Settings
	release  messaging.Release
	db       *sql.DB
	log      zerolog.Logger
	reloader *reloader
}

func (p *workerProcess) run(ctx context.Context) error {
	s := p.settings
	cfg, err := workerConfig(s, p.release)
	if err != nil {
		return err
	}
	pin, err := pinnedRelease(s.Default)
	if err != nil {
		return err
	}
	codec, err := objects.New(cfg.Release, pin)
	if err != nil {
		return fmt.Errorf("[DEFAULT]pin_release_version: %w", err)
	}
	p.db.UseVersions(rowVersions(codec))
	memory, err := local.OpenOrSetAside(s.Ironmaster.StateFile, local.Options{Log: p.log})
	if err != nil {
		return fmt.Errorf("opening the state file: %w", err)
	}
	defer func() {
		if err := memory.Close(); err != nil {
			p.log.Error().Err(err).Msg("Closing the state file failed")
		}
	}()
	hw, err := openHardware(ctx, s, p.release, p.db, p.log)
	if err != nil {
		return err
	}
	defer hw.close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(hw.collectors()...)
	wires, err := connect(s, cfg, p.log)
	if err != nil {
		return err
	}
	compute, err := openCompute(s.Nova)
	if err != nil {
		return err
	}
	meter, sendMeasures := openMeter(s, p.log)
	worker := conductor.New(cfg, conductor.Parts{DB: p.db, Local: memory, Transport: wires.transport, Notifier: wires.notifier,
		Hardware: hw.enabled, Images: hw.images, Media: hw.media, Rules: hw.rules, Compute: compute, Consoles: hw.consoles,
		Meter: meter, Codec: codec, Metrics: registry, Log: p.log})
	if err := hw.boot.begin(ctx, worker.NoteTransfer); err != nil {
		return err
	}
	senders := wires.senders
	if sendMeasures != nil {
		senders = append(senders, sendMeasures)
	}
	return p.serve(ctx, worker, registry, senders)
}

// rowVersions are the object versions that rows are written in.
func rowVersions(codec *objects.Codec) map[string]string {
	versions := map[string]string{}
	for _, name := range []string{"Node", "Port", "Portgroup", "VolumeConnector", "VolumeTarget", "Allocation", "Conductor",
		"Trait", "NodeHistory", "NodeInventory", "BIOSSetting", "Chassis", "DeployTemplate", "Runbook", "RunbookTrait", "InspectionRule",
		"FirmwareComponent"} {
		versions[name] = codec.Version(name)
	}
	return versions
}

// serve runs the worker beside what sends for it and the operators' address. What sends ends last: it carries the last
// replies and events.
func (p *workerProcess) serve(ctx context.Context, worker *conductor.Conductor, registry *prometheus.Registry,
	senders []func(context.Context)) error {
	listener, err := net.Listen("tcp", p.settings.Ironmaster.AdminListen)
	if err != nil {
		return fmt.Errorf("[ironmaster]admin_listen: %w", err)
	}
	admin := &http.Server{Handler: worker.AdminHandler(registry), ReadHeaderTimeout: adminTimeout, WriteTimeout: adminTimeout}
	var around sync.WaitGroup
	publishing, stopPublishing := context.WithCancel(context.Background())
	for _, sender := range senders {
		around.Go(func() { sender(publishing) })
	}
	around.Go(func() {
		if err := admin.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			p.log.Error().Err(err).Msg("The operators' address failed")
		}
	})
	p.reloader.follow = worker.Reload
	ignoreSignals := watchSignals(ctx, worker.End, p.reloader.reload)
	err = worker.Run(ctx)
	ignoreSignals()
	stopPublishing()
	_ = admin.Close()
	around.Wait()
	return err
}

const adminTimeout = 10 * time.Second
