package room

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
)

// installer is Anaconda as far as ironic meets it: it reads its kickstart file, tells ironic of its beginning, writes the image that
// the file names, and tells of the end. Then it waits to be switched off.
type installer struct {
	// agent brings the way to web servers and to ironic.
	agent *agent
}

// The lines of a kickstart file that the room understands.
var (
	kickstartImage = regexp.MustCompile(`(?m)^liveimg --url (\S+)$`)
	kickstartCall  = regexp.MustCompile(`(?m)^(?:until )?/usr/bin/curl .* -d '(\{.*\})' (\S+)$`)
)

// installVersion is the version of ironic's API that kickstart files ask for.
const installVersion = "1.72"

func (m *Machine) bootInstaller(ctx context.Context, kickstart string) error {
	m.change(func(s *state) { s.booted = BootInstaller })
	i := installer{agent: &agent{m: m, log: m.log, client: m.room.verified}}
	var text bytes.Buffer
	if err := i.agent.transfer(ctx, kickstart, sha256.New(), func(content io.Reader) error {
		_, err := io.Copy(&text, io.LimitReader(content, maxConfig))
		return err
	}); err != nil {
		return fmt.Errorf("reading the kickstart file: %w", err)
	}
	if err := i.tell(ctx, text.String(), "start"); err != nil {
		return err
	}
	image := kickstartImage.FindStringSubmatch(text.String())
	if image == nil {
		return fmt.Errorf("the kickstart file names no image")
	}
	m.change(func(s *state) { s.tellStep("install") })
	if err := i.write(ctx, image[1]); err != nil {
		m.log.Warn().Err(err).Msg("installing")
		// From its first call on ironic may know, whether the call is answered or not.
		m.change(func(s *state) { delete(s.unread, "install") })
		return i.tell(ctx, text.String(), "error")
	}
	if err := i.tell(ctx, text.String(), "end"); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// write puts a raw image onto the disk.
func (i installer) write(ctx context.Context, address string) error {
	return i.agent.m.disk.change(func(f *os.File) error {
		return i.agent.transfer(ctx, address, sha256.New(), func(content io.Reader) error {
			w := &sparseWriter{file: f, end: i.agent.m.disk.size}
			if err := copyImage(w, content); err != nil {
				return err
			}
			return writeError(w.flush())
		})
	})
}

// tell makes the calls of a kickstart file that bring a status, again while ironic cannot take them.
func (i installer) tell(ctx context.Context, kickstart, status string) error {
	for _, call := range kickstartCall.FindAllStringSubmatch(kickstart, -1) {
		var body map[string]any
		if err := json.Unmarshal([]byte(call[1]), &body); err != nil {
			return fmt.Errorf("the kickstart file calls ironic with %q: %w", call[1], err)
		}
		if body["agent_status"] != status {
			continue
		}
		for {
			err := i.agent.call(ctx, http.MethodPost, call[2], installVersion, body, http.StatusAccepted, nil)
			if err == nil {
				return nil
			}
			i.agent.log.Warn().Err(err).Str("status", status).Msg("telling ironic of the installation")
			if !pause(ctx, i.agent.m.room.cfg.BootDelay+selfTest) {
				return ctx.Err()
			}
		}
	}
	return fmt.Errorf("the kickstart file does not tell ironic of the status %q", status)
}
