package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers/partition"
)

// partitionImage is the value of IMAGE for an image of a root partition, around which an agent makes others.
const partitionImage = "partition"

// imageKind is what is deployed: a whole disk, or what is named.
func imageKind(named string) (string, error) {
	if kinds := []string{"", "whole-disk", partitionImage}; !slices.Contains(kinds, named) {
		return "", fmt.Errorf("IMAGE is whole-disk or partition, not %q", named)
	}
	return named, nil
}

// asPartition makes the image that of a partition: build-partition-image has put the same system into one.
func (i *image) asPartition(dir string) (err error) {
	i.qcow2 = filepath.Join(dir, "partition.qcow2")
	i.layout = map[string]string{"image_type": partitionImage, "root_gb": "1", "swap_mb": "64", "ephemeral_gb": "1"}
	i.sha256, err = sumOf(i.qcow2)
	return err
}

// checkPartitions looks at a disk that an agent has partitioned: the layout is that which Ironmaster expects an agent to make,
// and each partition holds its file system.
func checkPartitions(ctx context.Context, m *machine, deploy string) (string, error) {
	wish := partition.Wish{BootMode: m.firmware, Root: 1024, Swap: 64, Ephemeral: 1024}
	if deploy == "iscsi" {
		wish.ESP = 200 // [disk_utils]efi_system_partition_size of the conductor
	}
	plan, err := partition.Plan(wish)
	if err != nil {
		return "", err
	}
	disk, err := os.Open(m.Disk)
	if err != nil {
		return "", fmt.Errorf("reading the disk: %w", err)
	}
	defer disk.Close()
	info, err := disk.Stat()
	if err != nil {
		return "", fmt.Errorf("reading the disk: %w", err)
	}
	table, err := partition.Read(disk, info.Size())
	if err != nil {
		return "", err
	}
	if table.Label != plan.Label || len(table.Entries) != len(plan.Parts) {
		return "", fmt.Errorf("the disk has %+v, not %s with %s", table, plan.Label, plan)
	}
	kinds := map[partition.Role]partition.FileSystem{partition.ESP: partition.FAT, partition.Swap: partition.SwapArea,
		partition.Ephemeral: "ext4", partition.Root: "ext4"}
	var found []string
	for n, want := range plan.Parts {
		got := table.Entries[n]
		held, err := partition.Identify(ctx, m.Disk, got.Offset, got.Size)
		if err != nil {
			return "", err
		}
		if got.Offset != want.Offset || got.Size != want.Size || held.Kind != kinds[want.Role] {
			return "", fmt.Errorf("partition %d is %+v with %+v, want %+v with %s", got.Number, got, held, want, kinds[want.Role])
		}
		found = append(found, fmt.Sprintf("%s (%s)", want.Role, held.Kind))
	}
	return strings.Join(found, ", "), nil
}
