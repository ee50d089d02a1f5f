package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

func newImageCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Short: "Look at images as the conductor does"}
	cmd.AddCommand(newImageInspectCommand())
	return cmd
}

func newImageInspectCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect REF",
		Short: "Tell whether an image is a whole disk or a partition, and whether it can be deployed",
		Long: `Tell whether an image is taken for a whole disk or for a partition and why, what its first bytes say, which checksum
is known, and whether a deployment of it would be refused. Nothing is downloaded beyond the first 4 MiB.

REF is a file on this machine, a file://, http:// or https:// URL, or a Glance image id. Only Glance needs ironic.conf,
and shows only public images, since it is asked with the conductor's account and not with a user's.

The exit code is 1 when the image cannot be read or would be refused.`,
		Example: `  ironmaster image inspect ./debian.qcow2
  ironmaster image inspect https://example.org/debian.raw --instance-info '{"image_checksum": "sha256:..."}'
  ironmaster image inspect 6b8d3a2c-1f5e-4c86-9d4a-3f0e5b7c9a21 --config-file /etc/ironic/ironic.conf`,
		Args: cobra.ExactArgs(1),
	}
	flags := addOsloFlags(cmd)
	instance := cmd.Flags().String("instance-info", "", "further keys of a node's instance_info, a `JSON` object")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return inspectImage(cmd.Context(), flags, args[0], *instance, cmd.OutOrStdout())
	}
	return cmd
}

const inspectTimeout = 2 * time.Minute

func inspectImage(ctx context.Context, flags *osloFlags, ref, instanceText string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, inspectTimeout)
	defer cancel()
	instance := store.Dict{}
	if instanceText != "" {
		if err := json.Unmarshal([]byte(instanceText), &instance); err != nil || instance == nil {
			return errors.New("--instance-info is not a JSON object")
		}
	}
	href, file, err := imageHref(ref)
	if err != nil {
		return err
	}
	cfg, err := inspectConfig(ctx, flags, href)
	if err != nil {
		return err
	}
	outside := ""
	if file != "" {
		if href == ref && !allowsFile(cfg.File.AllowedPaths, file) {
			outside = "the file lies outside of [conductor]file_url_allowed_paths"
		}
		cfg.File.AllowedPaths = append(cfg.File.AllowedPaths, file)
	}
	service, err := image.New(cfg, zerolog.Nop())
	if err != nil {
		return fmt.Errorf("setting up the image service: %w", err)
	}
	defer service.Close()
	report, err := service.Report(ctx, image.Ref{Href: href}, instance)
	if err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	v := imageVerdict{Report: report}
	if outside != "" {
		v.problems = append(v.problems, outside)
	}
	v.judge(ctx, service, instance, instanceText != "")
	if err := v.print(out); err != nil {
		return err
	}
	if len(v.problems) > 0 {
		return errors.New("a deployment of this image would be refused")
	}
	return nil
}

// imageHref makes an image reference of what the user gave; file is the path of one on this machine.
func imageHref(ref string) (href, file string, err error) {
	if path, ok := strings.CutPrefix(ref, "file://"); ok {
		return ref, filepath.Clean(path), nil
	}
	if _, err := image.ParseOrigin(ref); err == nil {
		return ref, "", nil
	}
	info, err := os.Stat(ref)
	switch {
	case err != nil:
		return "", "", fmt.Errorf("%q is no file on this machine, no http, https or file URL, and no Glance image id",
			image.Redact(ref))
	case !info.Mode().IsRegular():
		return "", "", fmt.Errorf("%s is not a regular file", ref)
	}
	file, err = filepath.Abs(ref)
	return "file://" + file, file, err
}

// inspectConfig is the conductor's configuration of images. An image that needs nothing from it can be looked at by
// people who may not read it.
func inspectConfig(ctx context.Context, flags *osloFlags, href string) (image.Config, error) {
	s, _, err := flags.load(ctx, config.R2023_1)
	switch {
	case err == nil:
		return imageConfig(s), nil
	case image.IsGlance(href) || len(flags.sources) > 0:
		return image.Config{}, err
	}
	return image.DefaultConfig(), nil
}

func allowsFile(allowed []string, file string) bool {
	for _, dir := range allowed {
		if below, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(below) {
			return true
		}
	}
	return false
}

// imageVerdict is a report with what follows from it.
type imageVerdict struct {
	image.Report
	checksum, note string
	problems       []string
}

// judge works out what speaks against a deployment. What instance_info lacks counts only when some of it was given.
func (v *imageVerdict) judge(ctx context.Context, service *image.Service, instance store.Dict, given bool) {
	problem := func(err error) {
		if err != nil {
			v.problems = append(v.problems, err.Error())
		}
	}
	problem(v.Problem)
	problem(image.ValidateType(instance))
	problem(service.ValidateRootOnly(v.Decision.Kind, instance))
	instance = instance.Clone()
	instance["image_source"] = v.Ref.Href
	sum, err := service.Checksum(ctx, instance)
	problem(err)
	switch meta := v.Metadata; {
	case meta.HashValue != "":
		v.checksum = meta.HashAlgo + ":" + meta.HashValue + " (Glance)"
	case meta.Checksum != "":
		v.checksum = "md5:" + meta.Checksum + " (Glance)"
	case !sum.IsZero():
		v.checksum = sum.Algo + ":" + sum.Value + " (instance_info)"
	case meta.Origin == image.OriginFile:
		v.checksum = "none given, none needed: the conductor computes that of a local file"
	default:
		v.checksum = "none known: instance_info must have image_checksum, or image_os_hash_algo and image_os_hash_value"
		if given && err == nil {
			v.problems = append(v.problems, "instance_info has no checksum")
		}
	}
	if i := v.Inspection; v.Decision.Kind == image.WholeDisk && i.Format == image.FormatRaw && i.PartitionTable == "" {
		v.note = "it has no partition table, so it is hardly a whole disk: for a partition image give kernel and ramdisk, or " +
			"image_type partition"
	}
}

func (v *imageVerdict) print(out io.Writer) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t%s\n", name, oneLine(fmt.Sprintf(format, args...)))
	}
	row("image", "%s", image.Redact(v.Ref.Href))
	if v.Metadata.Name != "" {
		row("name", "%s", v.Metadata.Name)
	}
	switch {
	case v.Decision.SourceIsPath:
		row("kind", "a directory, no image: %s", v.Decision.Reason)
	case v.Decision.Kind == "":
		row("kind", "not known: %s", v.Decision.Reason)
	default:
		row("kind", "%s: %s", v.Decision.Kind, v.Decision.Reason)
	}
	if !v.Decision.SourceIsPath {
		v.printContents(row)
		row("checksum", "%s", v.checksum)
	}
	if v.note != "" {
		row("note", "%s", v.note)
	}
	if len(v.problems) == 0 {
		row("usable", "yes, as far as its beginning tells")
	}
	for _, problem := range v.problems {
		row("REFUSED", "%s", problem)
	}
	return table.Flush()
}

func (v *imageVerdict) printContents(row func(name, format string, args ...any)) {
	format := string(v.Inspection.Format)
	if declared := v.Metadata.DiskFormat; declared != "" {
		format += ", declared as " + declared
	}
	row("format", "%s", format)
	switch {
	case v.Inspection.PartitionTable != "":
		row("partitions", "%s", strings.ToUpper(v.Inspection.PartitionTable))
	case v.Inspection.Format == image.FormatRaw:
		row("partitions", "no partition table")
	default:
		row("partitions", "not visible from outside of a %s", v.Inspection.Format)
	}
	row("file size", "%s", exactSize(v.Metadata.Size))
	row("disk size", "%s", exactSize(v.Inspection.VirtualSize))
}

func exactSize(n int64) string {
	if n <= 0 {
		return "not known"
	}
	return fmt.Sprintf("%s (%d bytes)", byteSize(n), n)
}
