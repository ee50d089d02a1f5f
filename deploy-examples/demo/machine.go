package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// machine is an entry of the inventory that ironmaster room writes.
type machine struct {
	Name     string   `json:"name"`
	Address  string   `json:"address"`
	Username string   `json:"username"`
	Password string   `json:"password"`
	SystemID string   `json:"system_id"`
	CAFile   string   `json:"ca_file"`
	MACs     []string `json:"macs"`
	Disk     string   `json:"disk"` // the file that stands for the disk
	CPUArch  string   `json:"cpu_arch"`
	MemoryMB int      `json:"memory_mb"`
	LocalGB  int      `json:"local_gb"`
}

func readInventory(file string) ([]machine, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the room's inventory: %w", err)
	}
	var inventory struct {
		Machines []machine `json:"machines"`
	}
	if err := json.Unmarshal(content, &inventory); err != nil {
		return nil, fmt.Errorf("reading the room's inventory: %w", err)
	}
	if len(inventory.Machines) == 0 {
		return nil, fmt.Errorf("the room's inventory %s names no machine", file)
	}
	return inventory.Machines, nil
}
