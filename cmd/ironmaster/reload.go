package main

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging"
)

// reloader makes a running conductor follow its configuration files after SIGHUP.
type reloader struct {
	flags   *osloFlags
	release messaging.Release
	log     *serviceLog
	// settings are those that the conductor goes by.
	settings *config.Settings
	// follow hands the options on that can change while the conductor runs.
	follow func(conductor.Live)
}

// reload reads the files again. When they can't be read, or hold a wrong value, everything stays as it is.
func (r *reloader) reload(ctx context.Context) {
	r.log.Info().Msg("Reading the configuration again")
	if err := r.log.reload(r.settings.Log); err != nil {
		r.log.Error().Err(err).Msg("The log stays where it is")
	}
	read, _, err := r.flags.load(ctx, r.settings.Release)
	if err != nil {
		r.log.Error().Err(err).Msg("The configuration was not reloaded")
		return
	}
	next, followed, restart, err := r.settings.Follow(read)
	if err != nil {
		r.log.Error().Err(err).Msg("The configuration was not reloaded")
		return
	}
	cfg, err := workerConfig(next, r.release)
	if err != nil {
		r.log.Error().Err(err).Msg("The configuration was not reloaded")
		return
	}
	r.settings = next
	r.log.level.set(next.Log)
	r.follow(cfg.Live)
	r.log.Info().Strs("changed", followed).Msg("The configuration was reloaded")
	if len(restart) > 0 {
		r.log.Warn().Msg("Options that have changed need a restart: " + strings.Join(restart, ", "))
	}
}
