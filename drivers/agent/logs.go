package agent

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// CollectLogs asks the agent for its logs and writes them to the configured directory. Whatever goes wrong is logged only:
// the flow has its own end.
func (d *Deploy) CollectLogs(ctx context.Context, t *drivers.Task, label string, failed bool) {
	if d.cfg.Logs.Collect == CollectNever || d.cfg.Logs.Collect == CollectOnFailure && !failed {
		return
	}
	if t.Node.DriverInternalInfo.String("agent_url") == "" {
		return
	}
	path, err := d.saveLogs(ctx, t, label)
	if err != nil {
		t.Log.Error().Err(err).Msg("keeping the ramdisk's logs")
		return
	}
	t.Log.Info().Str("path", path).Msg("the ramdisk's logs are kept")
}

func (d *Deploy) saveLogs(ctx context.Context, t *drivers.Task, label string) (string, error) {
	answer, err := d.client.do(ctx, t.Node, request{method: "log.collect_system_logs", params: store.Dict{}, wait: true})
	if err != nil {
		return "", err
	}
	return d.cfg.Logs.keep(t.Node, answer.result().String("system_logs"), label)
}

// keep writes an archive of logs, which the agent sent in base64, into a file and returns its path.
func (c LogsConfig) keep(n *store.Node, encoded, label string) (string, error) {
	archive, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(archive) == 0 {
		return "", fmt.Errorf("the agent of node %s answered with no archive", n.UUID)
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return "", fmt.Errorf("making the directory for ramdisk logs: %w", err)
	}
	path := filepath.Join(c.Dir, logName(n, label, time.Now()))
	if err := os.WriteFile(path, archive, 0o640); err != nil {
		return "", fmt.Errorf("writing ramdisk logs: %w", err)
	}
	return path, nil
}

// logName is ironic's: uuid, name, instance, label and time.
func logName(n *store.Node, label string, at time.Time) string {
	parts := []string{n.UUID}
	if name := nodeName(n); name != "" {
		parts = append(parts, filepath.Base(name))
	}
	for _, part := range []string{n.InstanceUUID, label} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(append(parts, at.UTC().Format("2006-01-02-15-04-05")), "_") + ".tar.gz"
}
