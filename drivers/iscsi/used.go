package iscsi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/drivers/partition"
)

// span is a piece of a file, in bytes.
type span struct{ begin, end int64 }

// usedPieces are the pieces of a new file system that have to be copied: zeros in them mean something, and on the disk may be
// what was there before. Of an empty ext file system, which may be very large, these are the blocks in use, of swap the first
// MiB; of others it is all of it.
func usedPieces(ctx context.Context, kind partition.FileSystem, file string, size int64) ([]span, error) {
	switch {
	case kind == partition.SwapArea:
		return []span{{0, min(size, partition.MiB)}}, nil
	case !strings.HasPrefix(string(kind), "ext"):
		return []span{{0, size}}, nil
	}
	command := exec.CommandContext(ctx, "dumpe2fs", file)
	command.Env = append(os.Environ(), "LC_ALL=C")
	var trouble bytes.Buffer
	command.Stderr = &trouble
	out, err := command.Output()
	if err != nil {
		return nil, fmt.Errorf("asking which blocks of a file system are in use: %w: %s", err, strings.TrimSpace(trouble.String()))
	}
	free, block, err := freeBlocks(bytes.NewReader(out))
	if err != nil {
		return nil, err
	}
	return between(free, block, size), nil
}

var (
	blockSizeLine = regexp.MustCompile(`^Block size:\s+(\d+)$`)
	freeLine      = regexp.MustCompile(`^\s+Free blocks: (.*)$`)
)

// freeBlocks reads the free blocks out of what dumpe2fs prints, and the size of a block in bytes.
func freeBlocks(text io.Reader) (free []span, block int64, err error) {
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if m := blockSizeLine.FindStringSubmatch(lines.Text()); m != nil {
			block, err = strconv.ParseInt(m[1], 10, 64)
		}
		if m := freeLine.FindStringSubmatch(lines.Text()); m != nil && strings.TrimSpace(m[1]) != "" {
			for item := range strings.SplitSeq(m[1], ",") {
				first, last, ranged := strings.Cut(strings.TrimSpace(item), "-")
				if !ranged {
					last = first
				}
				var s span
				if s.begin, err = strconv.ParseInt(first, 10, 64); err == nil {
					s.end, err = strconv.ParseInt(last, 10, 64)
				}
				free = append(free, span{s.begin, s.end + 1})
			}
		}
		if err != nil {
			return nil, 0, fmt.Errorf("dumpe2fs prints %q: %w", lines.Text(), err)
		}
	}
	if err = lines.Err(); err == nil && block == 0 {
		err = fmt.Errorf("dumpe2fs does not print the size of a block")
	}
	return free, block, err
}

// between turns free blocks, in order, into what lies between them. What is close together is one piece.
func between(free []span, block, size int64) []span {
	var used []span
	at := int64(0)
	for _, f := range append(free, span{(size + block - 1) / block, 0}) {
		begin, end := at*block, min(f.begin*block, size)
		at = max(at, f.end)
		if end <= begin {
			continue
		}
		if last := len(used) - 1; last >= 0 && begin-used[last].end < partition.MiB {
			used[last].end = end
			continue
		}
		used = append(used, span{begin, end})
	}
	return used
}
