package iscsi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

// startTarget is the command of the ramdisk's extension iscsi.
const startTarget = "iscsi.start_iscsi_target"

// targetName is ironic's name for a node's target. Writings that were begun anew have others, so that a writer of before, which
// nobody could stop, finds its target gone.
func targetName(node string, try int64) string {
	name := "iqn.2008-10.org.openstack:" + node
	if try > 1 {
		name += "-" + strconv.FormatInt(try, 10)
	}
	return name
}

// errRefused is the error of an agent that was asked for a target and did not give one.
var errRefused = errors.New("the ramdisk started no iSCSI target")

// expose has the agent start a target and waits until the disk behind it can be reached. wipe clears the disk's partition
// tables before. The disk must be closed.
func (d *Deploy) expose(ctx context.Context, t *drivers.Task, try int64, wipe bool) (*lun, error) {
	t.Worker.Report(t, drivers.Progress{Doing: "having the ramdisk expose its disk", Waiting: true})
	name := targetName(t.Node.UUID, try)
	_, err := d.Call(ctx, t, startTarget, store.Dict{"iqn": name, "portal_port": d.cfg.PortalPort, "wipe_disk_metadata": wipe})
	switch kind := store.KindOf(err); {
	case err == nil:
	case kind == store.AgentConnectionFailed, kind == store.AgentInProgress, ctx.Err() != nil:
		return nil, err
	default:
		return nil, store.Errorf(store.InstanceDeployFailure,
			"Failed to start the iSCSI target to deploy the node %s. Error: %w", t.Node.UUID, fmt.Errorf("%w: %w", errRefused, err))
	}
	// gofail: var iscsiExposed struct{}
	agent, err := url.Parse(t.Node.DriverInternalInfo.String("agent_url"))
	if err != nil || agent.Hostname() == "" {
		return nil, fmt.Errorf("the agent of node %s gave a callback URL that is none", t.Node.UUID)
	}
	portal := net.JoinHostPort(agent.Hostname(), strconv.Itoa(d.cfg.PortalPort))
	dir, err := os.MkdirTemp(d.cfg.ScratchDir, "iscsi-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for pieces of the disk: %w", err)
	}
	l := &lun{medium: lunAt(portal, name), qemu: image.NewQemuImg(d.cfg.Convert), cfg: d.cfg, dir: dir}
	if err := d.await(ctx, t, l, portal); err != nil {
		return nil, errors.Join(err, l.close())
	}
	t.Log.Info().Str("portal", portal).Str("target", name).Int64("bytes", l.size).Msg("The node's disk is there as an iSCSI target")
	return l, nil
}

// await opens the disk. A target needs a moment until it listens.
func (d *Deploy) await(ctx context.Context, t *drivers.Task, l *lun, portal string) error {
	var err error
	for attempt := range max(1, d.cfg.VerifyAttempts) {
		if attempt > 0 {
			if err := drivers.Pause(ctx, d.cfg.AttemptPause); err != nil {
				return err
			}
		}
		if err = l.open(ctx); err == nil || ctx.Err() != nil {
			return err
		}
		t.Log.Debug().Err(err).Int("attempt", attempt+1).Str("portal", portal).Msg("The iSCSI target is not there yet")
	}
	return fmt.Errorf("iSCSI connection did not become active after attempting to verify %d times. Portal %s: %w",
		max(1, d.cfg.VerifyAttempts), portal, err)
}

// close forgets what was kept here of the disk.
func (l *lun) close() error { return os.RemoveAll(l.dir) }
