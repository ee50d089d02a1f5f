package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// machine is an entry of the inventory that ironmaster room writes, and what it is for.
type machine struct {
	Name     string   `json:"name"`
	Address  string   `json:"address"`
	Username string   `json:"username"`
	Password string   `json:"password"`
	SystemID string   `json:"system_id"`
	CAFile   string   `json:"ca_file"`
	MACs     []string `json:"macs"`
	Disk     string   `json:"disk"` // the file that is the disk
	CPUArch  string   `json:"cpu_arch"`
	MemoryMB int      `json:"memory_mb"`
	LocalGB  int      `json:"local_gb"`

	firmware string // uefi or bios; also the name of the node
	console  string // the file that takes the serial console
	node     string // the node's UUID
}

func readInventory(file string) ([]*machine, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the room's inventory: %w", err)
	}
	var inventory struct {
		Machines []*machine `json:"machines"`
	}
	if err := json.Unmarshal(content, &inventory); err != nil {
		return nil, fmt.Errorf("reading the room's inventory: %w", err)
	}
	return inventory.Machines, nil
}

const (
	// bootTimeout bounds the time from the last power on to the image's word on the console.
	bootTimeout = 10 * time.Minute
	consolePoll = 200 * time.Millisecond
)

// powerOnMark is what the room writes to the console before each power on.
const powerOnMark = "=== power on:"

// awaitMarker waits until the system of the image says on the console that it runs, on this firmware, and returns the line.
func (m *machine) awaitMarker(ctx context.Context, marker string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, bootTimeout)
	defer cancel()
	want := marker + " firmware=" + m.firmware + " "
	for {
		text, err := os.ReadFile(m.console)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("reading the console: %w", err)
		}
		// What an earlier boot said does not count.
		text = text[max(0, bytes.LastIndex(text, []byte(powerOnMark))):]
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, want) {
				return line, nil
			}
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("no line %q on the console: %w", want+"...", ctx.Err())
		case <-time.After(consolePoll):
		}
	}
}
