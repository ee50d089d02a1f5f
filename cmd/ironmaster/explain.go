package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store/sql"
)

func newExplainCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "explain NODE",
		Short: "Tell what a node has gone through, what it waits for and what to do about it",
		Long: `Tell what a node has gone through, what it waits for, the likely reason, and what to do about it. NODE is a UUID or a name.

The timeline is what the conductor of this machine has seen: requests, changes of state, steps, exchanges with BMC and
agent, bytes of images, lookups, heartbeats and errors. Neither bodies nor secrets are in it. What is alike is told once,
with how often it happened. Times are UTC.

The running conductor is asked at [ironmaster]admin_listen. When none answers, its state file and the database are read.`,
		Args: cobra.ExactArgs(1),
	}
	flags := addOsloFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print JSON")
	all := cmd.Flags().Bool("all", false, "print the whole timeline, not its newest part only")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		s, _, err := flags.load(cmd.Context(), config.R2023_1)
		if err != nil {
			return err
		}
		x, err := findExplanation(cmd.Context(), flags, s, args[0])
		if err != nil {
			return err
		}
		if !x.Running {
			fmt.Fprintf(cmd.ErrOrStderr(), "No conductor answers at %s. This is what the last one left in %s:\n",
				dialAddress(s.Ironmaster.AdminListen), s.Ironmaster.StateFile)
		}
		if *asJSON {
			encoder := json.NewEncoder(cmd.OutOrStdout())
			encoder.SetEscapeHTML(false)
			return encoder.Encode(x)
		}
		most := newestMoments
		if *all {
			most = len(x.Timeline)
		}
		return printExplanation(cmd.OutOrStdout(), x, most, time.Now())
	}
	return cmd
}

// newestMoments is how many lines of a timeline are printed unless all are asked for.
const newestMoments = 40

// findExplanation asks the running conductor, or else explains the node from what it left and from the database.
func findExplanation(ctx context.Context, flags *osloFlags, s *config.Settings, node string) (x conductor.Explanation, err error) {
	err = askOperators(ctx, dialAddress(s.Ironmaster.AdminListen), "explain?node="+url.QueryEscape(node), &x)
	if err == nil || !errors.As(err, new(*net.OpError)) {
		return x, err
	}
	memory, err := openLeft(s.Ironmaster)
	if err != nil {
		return x, err
	}
	defer func() { err = errors.Join(err, memory.Close()) }()
	e := conductor.Explainer{Local: memory, Now: time.Now}
	ctx, cancel := context.WithTimeout(ctx, operatorsTimeout)
	defer cancel()
	release := messaging.V2023_1
	db, err := sql.Open(ctx, databaseConfig(s, zerolog.Nop()))
	if err != nil {
		e.DatabaseErr = err
	} else {
		defer func() { _ = db.Close() }()
		e.DB = db
		if release, err = messaging.ParseRelease(db.Schema().Release); err != nil {
			return x, fmt.Errorf("the database has a schema that this build does not know: %w", err)
		}
		if s, _, err = flags.load(ctx, configRelease(release)); err != nil {
			return x, err
		}
	}
	if e.Config, err = workerConfig(s, release); err != nil {
		return x, err
	}
	return e.Explain(ctx, node)
}
