package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store/sql"
)

func newCheckCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Check what the conductor needs, with a remedy for what is missing",
		Long: `Check what the conductor needs: configuration, database, broker or JSON-RPC, ironic-api, Glance, hardware types and interfaces,
versions, image server, directories and qemu-img. Nothing is changed.

Each line is ok, warn (the conductor runs, but something is not as expected) or FAIL, and what is not ok is followed by
the remedy. The exit code is 1 when something fails. Run it as the user that the conductor runs as.`,
		Example: `  ironmaster check --config-file /etc/ironic/ironic.conf`,
		Args:    cobra.NoArgs,
	}
	flags := addOsloFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		checks, done := checkList(cmd.Context(), flags)
		defer done()
		return runChecks(cmd.Context(), checks, cmd.OutOrStdout())
	}
	return cmd
}

// level is how bad a finding is.
type level string

const (
	levelOK   level = "ok"
	levelWarn level = "warn"
	levelFail level = "FAIL"
)

// finding is what a check found out. Whatever is not ok has a remedy.
type finding struct {
	level        level
	text, remedy string
}

func okay(format string, args ...any) finding {
	return finding{level: levelOK, text: fmt.Sprintf(format, args...)}
}

// check is one subject. Its run must end with its context.
type check struct {
	name string
	run  func(context.Context) []finding
}

// checkTimeout is how long each check may take.
const checkTimeout = 15 * time.Second

// runChecks runs all checks at once and prints what they find in their order.
func runChecks(ctx context.Context, checks []check, out io.Writer) error {
	results := make([]chan []finding, len(checks))
	var running sync.WaitGroup
	defer running.Wait()
	for i, c := range checks {
		results[i] = make(chan []finding, 1)
		running.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, checkTimeout)
			defer cancel()
			results[i] <- c.run(ctx)
		})
	}
	failed := 0
	for i, c := range checks {
		for _, f := range <-results[i] {
			if f.level == levelFail {
				failed++
			}
			if err := printFinding(out, c.name, f); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return errors.New(plural(failed, "check failed", "checks failed"))
	}
	return nil
}

func printFinding(out io.Writer, name string, f finding) error {
	text := fmt.Sprintf("%-4s  %-13s  %s\n", f.level, name, oneLine(f.text))
	if f.remedy != "" {
		text += fmt.Sprintf("%21s%s\n", "remedy: ", oneLine(f.remedy))
	}
	_, err := io.WriteString(out, text)
	return err
}

// checkList is what can be checked: everything, or the configuration alone when it cannot be read. done is called after
// the checks.
func checkList(ctx context.Context, flags *osloFlags) (checks []check, done func()) {
	s, _, err := flags.load(ctx, config.R2023_1)
	if err != nil {
		return []check{{"configuration", func(context.Context) []finding { return configProblems(err) }}}, func() {}
	}
	c := &checker{flags: flags, first: s}
	c.database = sync.OnceValues(func() (*sql.DB, error) { return c.openDatabase(ctx) })
	done = func() {
		if db, err := c.database(); err == nil {
			_ = db.Close() // Nothing was written.
		}
	}
	all := []check{{"configuration", c.checkConfiguration}, {"database", c.checkDatabase}}
	switch s.Default.RPCTransport {
	case "oslo":
		all = append(all, check{"broker", c.checkBroker})
	case "json-rpc":
		all = append(all, check{"JSON-RPC", c.checkJSONRPC})
		if slices.ContainsFunc(s.Notifications.Drivers, conductor.SendsToBroker) {
			all = append(all, check{"broker", c.checkNotifications})
		}
	}
	return append(all, check{"ironic-api", c.checkAPI}, check{"Glance", c.checkGlance}, check{"Neutron", c.checkNetworks},
		check{"hardware", c.checkHardware},
		check{"versions", c.checkVersions}, check{"image server", c.checkImageServer}, check{"TFTP", c.checkTFTP},
		check{"network boot", c.checkNetworkBoot},
		check{"directories", c.checkDirectories}, check{"qemu-img", c.checkPrograms}), done
}

// checker holds what several checks need.
type checker struct {
	flags *osloFlags
	// first are the settings with the defaults of the oldest release, which hold for everything that no release changed.
	first *config.Settings
	// database opens the shared database once, for all checks.
	database func() (*sql.DB, error)
}

// openDatabase opens the database without the patience of a conductor that starts.
func (c *checker) openDatabase(ctx context.Context) (*sql.DB, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout-time.Second)
	defer cancel()
	cfg := databaseConfig(c.first, zerolog.Nop())
	cfg.MaxRetries = 0
	return sql.Open(ctx, cfg)
}

// release is that of the database.
func (c *checker) release() (messaging.Release, error) {
	db, err := c.database()
	if err != nil {
		return 0, err
	}
	return messaging.ParseRelease(db.Schema().Release)
}

// settings are those with the defaults of the database's release, or of the oldest when the database does not tell.
func (c *checker) settings(ctx context.Context) (*config.Settings, []string, messaging.Release, error) {
	release, err := c.release()
	if err != nil {
		release = messaging.V2023_1
	}
	s, warnings, err := c.flags.load(ctx, configRelease(release))
	return s, warnings, release, err
}

func configProblems(err error) []finding {
	var all []finding
	for line := range strings.Lines(err.Error()) {
		all = append(all, finding{levelFail, line, "correct the option, or the path given on the command line"})
	}
	return all
}

func (c *checker) checkConfiguration(ctx context.Context) []finding {
	s, warnings, release, err := c.settings(ctx)
	if err != nil {
		return configProblems(err)
	}
	cfg, err := workerConfig(s, release)
	if err != nil {
		return configProblems(err)
	}
	if s.Default.RPCTransport == "none" {
		return configProblems(noTransport(s))
	}
	if _, err := fakeConfig(s.Fake); err != nil {
		return configProblems(err)
	}
	group := "the default conductor group"
	if s.Conductor.Group != "" {
		group = "conductor group " + strings.ToLower(s.Conductor.Group)
	}
	all := []finding{okay("this conductor is %s in %s", cfg.Host, group)}
	for _, w := range warnings {
		all = append(all, finding{levelWarn, w, "none needed if its default is what you want; else do not switch over yet"})
	}
	return all
}
