package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/conductor/config"
)

func newCheckCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Check what the conductor needs", Args: cobra.NoArgs}
	flags := addOsloFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		_, _, err := flags.load(cmd.Context(), config.R2023_1)
		if err == nil {
			fmt.Fprintln(cmd.OutOrStdout(), "ok    configuration")
		}
		return err
	}
	return cmd
}
