package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/conductor/config"
)

func newHealthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Tell whether the conductor of this machine can do its work",
		Long: `Tell whether the conductor of this machine can do its work: whether it is registered, and broker and database are
there. What is away is named, with since when and why: Glance and Keystone too while a deployment waits for them, which is no
reason for not being ready.

The running conductor is asked at [ironmaster]admin_listen. The exit status is 0 when all is well and 1 when not, as the
health checks of containers want it.`,
		Args: cobra.NoArgs,
	}
	flags := addOsloFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		s, _, err := flags.load(cmd.Context(), config.R2023_1)
		if err != nil {
			return err
		}
		health, err := askHealth(cmd.Context(), dialAddress(s.Ironmaster.AdminListen))
		if err != nil {
			return err
		}
		var parts []string
		for _, part := range slices.Sorted(maps.Keys(health.Parts)) {
			parts = append(parts, part+": "+health.Parts[part])
		}
		text := fmt.Sprintf("%s: %s", health.Host, strings.Join(parts, ", "))
		if !health.Ready {
			return errors.New(text)
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}
