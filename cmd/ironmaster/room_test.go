package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/cmd/ironmaster/room"
)

// until cancels when a text was written.
type until struct {
	strings.Builder
	text string
	then context.CancelFunc
}

func (u *until) Write(b []byte) (int, error) {
	n, err := u.Builder.Write(b)
	if strings.Contains(u.String(), u.text) {
		u.then()
	}
	return n, err
}

func TestTheRoomServesUntilItIsEnded(t *testing.T) {
	dir := t.TempDir()
	inventory := filepath.Join(dir, "inventory.json")
	ctx, cancel := context.WithCancel(t.Context())
	out := &until{text: "12 machines are ready", then: cancel}
	cmd := newRoomCommand()
	cmd.SetOut(out)
	cmd.SetArgs([]string{"--count", "12", "--dir", dir, "--inventory", inventory, "--disk-size", "2G", "--seed", "7",
		"--fault-slow", "0.5", "--quirk-patch-media", "1"})
	if err := cmd.ExecuteContext(ctx); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(inventory)
	if err != nil {
		t.Fatal(err)
	}
	var found struct{ Machines []room.Info }
	if err := json.Unmarshal(content, &found); err != nil || len(found.Machines) != 12 || found.Machines[0].LocalGB != 2 {
		t.Fatalf("%v, the inventory holds %s", err, content)
	}
	for _, m := range found.Machines {
		if strings.Contains(out.String(), m.Password) {
			t.Errorf("the password of %s is printed", m.Name)
		}
	}
	if !strings.Contains(out.String(), found.Machines[9].Address) || !strings.Contains(out.String(), "and 2 more\n") {
		t.Errorf("printed\n%s", out.String())
	}
}
