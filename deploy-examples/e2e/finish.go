package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"
)

// tailLines is how much of each log is shown of a run that failed.
const tailLines = 40

// finish leaves everything running when that is wanted and all went well, and else ends everything.
func (t *trial) finish(failure error) error {
	if t.lab == nil {
		return nil
	}
	if failure == nil && t.keep {
		t.suggest()
		return nil
	}
	var errs []error
	if t.conductor != nil {
		errs = append(errs, t.conductor.Stop())
	}
	if t.room != nil {
		errs = append(errs, t.room.Stop())
	}
	if t.volumes != nil {
		errs = append(errs, t.volumes.Close())
	}
	errs = append(errs, t.lab.Close())
	if failure != nil {
		t.showLogs()
		fmt.Fprintf(t.out, "\nEverything is ended. All logs are in %s\n", t.short(t.dir))
		return errors.Join(errs...)
	}
	if err := t.tidy(); err != nil {
		errs = append(errs, err)
	}
	t.say("done; everything is ended, KEEP=1 leaves it running; the serial consoles are in %s", t.short(t.dir))
	return errors.Join(errs...)
}

// logs are the files that tell about a run: what the conductor, the room and the machines' consoles (with the agent's log in
// them) had to say.
func (t *trial) logs() []string {
	var files []string
	if t.conductor != nil {
		files = append(files, t.conductor.LogFile())
	}
	if t.room != nil {
		files = append(files, t.room.LogFile())
	}
	for _, m := range t.machines {
		files = append(files, m.console)
	}
	return files
}

func (t *trial) showLogs() {
	for _, file := range t.logs() {
		content, err := os.ReadFile(file)
		if err != nil {
			content = []byte(err.Error())
		}
		lines := strings.Split(strings.TrimSpace(string(printable(content))), "\n")
		fmt.Fprintf(t.out, "\n--- end of %s\n", t.short(file))
		for _, line := range lines[max(0, len(lines)-tailLines):] {
			fmt.Fprintln(t.out, line)
		}
	}
}

// escapes move the cursor of a terminal and colour its text: firmware draws on its console.
var escapes = regexp.MustCompile(`\x1b\[[0-9;=?]*[A-Za-z]`)

// printable is a text without what would disturb a terminal.
func printable(text []byte) []byte {
	return bytes.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == utf8.RuneError {
			return -1
		}
		return r
	}, escapes.ReplaceAll(text, nil))
}

// tidy removes what is large, and keeps the logs: those of services, and the consoles as FIRMWARE-console.log.
func (t *trial) tidy() error {
	for _, m := range t.machines {
		if err := os.Rename(m.console, filepath.Join(t.dir, m.firmware+"-console.log")); err != nil {
			return fmt.Errorf("keeping the serial console: %w", err)
		}
	}
	entries, err := os.ReadDir(t.dir)
	if err != nil {
		return fmt.Errorf("tidying up: %w", err)
	}
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".log") || entry.Name() == "agent-logs" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(t.dir, entry.Name())); err != nil {
			return fmt.Errorf("tidying up: %w", err)
		}
	}
	return nil
}

func (t *trial) suggest() {
	fmt.Fprintf(t.out, `
Everything is left running, in a network namespace. Things to try:

  nsenter -t $(cat %s) -n bash        # a shell in it; who is not root adds -U --preserve-credentials
  export OS_AUTH_TYPE=none OS_ENDPOINT=%s
  openstack baremetal node list
  %s events --config-file %s
  tail -f %s
  make e2e-stop                       # ends all of it
`, t.short(filepath.Join(t.dir, "room.pid")), t.lab.IronicURL, t.short(t.program), t.short(t.lab.ConfFile), t.short(t.machines[0].console))
}
