package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

func newImageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Look at images"}
	cmd.AddCommand(newImageInspectCommand())
	return cmd
}

func newImageInspectCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "inspect REF", Args: cobra.ExactArgs(1)}
	flags := addOsloFlags(cmd)
	instance := cmd.Flags().String("instance-info", "", "further keys of the node's instance_info, as a `JSON` object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return inspectImage(cmd.Context(), flags, args[0], *instance, cmd.OutOrStdout())
	}
	return cmd
}

func inspectImage(ctx context.Context, _ *osloFlags, href, instanceText string, out io.Writer) error {
	cfg := image.DefaultConfig()
	instance := store.Dict{}
	if instanceText != "" {
		if err := json.Unmarshal([]byte(instanceText), &instance); err != nil {
			return fmt.Errorf("--instance-info: %w", err)
		}
	}
	if _, err := os.Stat(href); err == nil {
		path, err := filepath.Abs(href)
		if err != nil {
			return err
		}
		cfg.File.AllowedPaths = []string{path}
		href = "file://" + path
	}
	service, err := image.New(cfg, zerolog.Nop())
	if err != nil {
		return err
	}
	defer service.Close()
	r, err := service.Report(ctx, image.Ref{Href: href}, instance)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, r.Decision.Kind, r.Decision.Reason)
	return r.Problem
}
