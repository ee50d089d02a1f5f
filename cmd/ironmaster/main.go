// Command ironmaster is an ironic-conductor in Go, with what an operator needs around it.
//
// Called through a link named ironic-conductor it is the conductor alone, with oslo.config's flags.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
)

// version is set by the linker.
var version = "unknown"

func main() {
	os.Exit(run(os.Args))
}

// run is main without the process around it.
func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	root := newRoot()
	arguments := args[1:]
	if filepath.Base(args[0]) == "ironic-conductor" {
		arguments = append([]string{"conductor"}, arguments...)
	}
	root.SetArgs(arguments)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ironmaster:", err)
		return 1
	}
	return 0
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:           "ironmaster",
		Short:         "An ironic-conductor in Go",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newConductorCommand(), newDrainCommand(), newEventsCommand(), newExplainCommand(), newLocksCommand(), newHealthCommand(), newCheckCommand(),
		newImageCommand(), newRoomCommand())
	return root
}
