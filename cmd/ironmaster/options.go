package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/ironmaster/ironmaster/conductor/config"
)

// osloFlags are the flags that every OpenStack service has, read as oslo.config reads them: --config-file and
// --config-dir may be repeated and count in the order in which they stand.
type osloFlags struct {
	sources []config.Source
	debug   bool
	logFile string
	logDir  string
	set     *pflag.FlagSet
}

func addOsloFlags(cmd *cobra.Command) *osloFlags {
	f := &osloFlags{set: cmd.Flags()}
	cmd.Flags().Var(&sourceFlag{into: &f.sources}, "config-file", "read this `file`; may be given several times")
	cmd.Flags().Var(&sourceFlag{into: &f.sources, dir: true}, "config-dir", "read all *.conf files of this `directory`")
	cmd.Flags().BoolVarP(&f.debug, "debug", "d", false, "log everything")
	cmd.Flags().StringVar(&f.logFile, "log-file", "", "write the log to this `file` instead of standard error")
	cmd.Flags().StringVar(&f.logDir, "log-dir", "", "the `directory` of --log-file")
	return f
}

// sourceFlag collects --config-file and --config-dir in one list, because their order matters.
type sourceFlag struct {
	into *[]config.Source
	dir  bool
}

func (s *sourceFlag) String() string { return "" }
func (s *sourceFlag) Type() string   { return "path" }

func (s *sourceFlag) Set(path string) error {
	*s.into = append(*s.into, config.Source{Path: path, Dir: s.dir})
	return nil
}

// load reads the settings with the defaults of a release.
func (f *osloFlags) load(ctx context.Context, release config.Release) (*config.Settings, []string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, nil, err
	}
	flags := config.Flags{Sources: f.sources}
	if f.set.Changed("debug") {
		flags.Debug = &f.debug
	}
	if f.set.Changed("log-file") {
		flags.LogFile = &f.logFile
	}
	if f.set.Changed("log-dir") {
		flags.LogDir = &f.logDir
	}
	return config.Load(config.Inputs{
		Flags: flags, Environ: os.Environ(), Release: release, Dir: dir, Home: os.Getenv("HOME"),
		Hostname: func() (string, error) { return config.FQDN(ctx) }, Address: config.FirstAddress,
	})
}
