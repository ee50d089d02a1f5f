package storage

import (
	"context"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// DetachVolumes detaches all of the node's volumes. A failure is tried again; what fails then is none for an instance that is only
// switched off.
//
// Crash windows: what is about to be detached stands in the row before. A volume that is "detaching" then goes on from there.
func (c *Cinder) DetachVolumes(ctx context.Context, t *drivers.Task) error {
	targets, way, err := volumesOf(ctx, t)
	if err != nil || len(targets) == 0 {
		return err
	}
	return c.detachRetrying(ctx, t, targets, way, false)
}

// detachRetrying detaches volumes. aborting tells that an attachment has failed, of which what can be undone is.
func (c *Cinder) detachRetrying(ctx context.Context, t *drivers.Task, targets []*store.VolumeTarget, way connector, aborting bool) error {
	for attempt := 0; ; attempt++ {
		tolerant := t.Node.ProvisionState == store.Active || aborting && attempt > 0
		err := c.detach(ctx, t, targets, way, tolerant)
		if store.KindOf(err) != store.StorageError || attempt >= c.cfg.ActionRetries {
			return err
		}
		t.Log.Warn().Err(err).Bool("aborting", aborting).Msg("Detaching volumes failed; it is tried again")
		if err := drivers.Pause(ctx, c.cfg.ActionRetryInterval); err != nil {
			return err
		}
	}
}

// detach detaches volumes, all but those that fail when that is tolerated.
func (c *Cinder) detach(ctx context.Context, t *drivers.Task, targets []*store.VolumeTarget, way connector, tolerant bool) error {
	s, err := c.begin(ctx, t)
	if err != nil {
		return err
	}
	for _, target := range targets {
		id := *target.VolumeID
		err := s.detachOne(ctx, id, way, tolerant)
		if store.KindOf(err) == store.StorageError && tolerant {
			t.Log.Warn().Err(err).Str("volume", id).Msg("A volume could not be detached")
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *session) detachOne(ctx context.Context, id string, way connector, tolerant bool) error {
	node := s.task.Node
	v, err := s.volume(ctx, id)
	if err != nil {
		return store.Errorf(store.StorageError, "Failed to get volume %s from cinder for node %s: %w", id, node.UUID, err)
	}
	at := attachment(node, v)
	if at == nil {
		return s.release(ctx, v)
	}
	if err := s.request(ctx, v); err != nil && (!tolerant || store.KindOf(err) != store.StorageError) {
		return err
	}
	// gofail: var volumeDetaching struct{}
	err = s.do(ctx, func(ctx context.Context) error { return volumes.TerminateConnection(ctx, s.api, id, way).ExtractErr() })
	if err != nil {
		return store.Errorf(store.StorageError, "Failed to detach volume %s from node %s: %w", id, node.UUID, err)
	}
	// gofail: var volumeDisconnected struct{}
	err = s.do(ctx, func(ctx context.Context) error {
		return volumes.Detach(ctx, s.api, id, volumes.DetachOpts{AttachmentID: at.AttachmentID}).ExtractErr()
	})
	if err != nil && !tolerant {
		return store.Errorf(store.StorageError, "Failed to inform cinder that the detachment for volume %s from node %s has been completed: %w",
			id, node.UUID, err)
	}
	// gofail: var volumeDetached struct{}
	s.tellOwner(ctx, id, "detached")
	return s.forget(ctx, id, detaching)
}

// request has Cinder mark a volume as one that is being detached, unless a detachment that was cut short has done so.
func (s *session) request(ctx context.Context, v *volumes.Volume) error {
	if s.underWay(v, detaching) {
		return nil
	}
	if err := s.note(ctx, v.ID, detaching); err != nil {
		return err
	}
	// gofail: var volumeBeforeDetaching struct{}
	err := s.do(ctx, func(ctx context.Context) error { return volumes.BeginDetaching(ctx, s.api, v.ID).ExtractErr() })
	if err == nil {
		return nil
	}
	if err := s.forgetRefused(ctx, v.ID, detaching, err); err != nil {
		return err
	}
	return store.Errorf(store.StorageError, "Failed to request detach for volume %s from cinder for node %s: %w", v.ID,
		s.task.Node.UUID, err)
}

// release gives back a volume that was reserved for the node and never attached, which ironic leaves reserved.
func (s *session) release(ctx context.Context, v *volumes.Volume) error {
	if s.underWay(v, attaching) {
		err := s.do(ctx, func(ctx context.Context) error { return volumes.Unreserve(ctx, s.api, v.ID).ExtractErr() })
		if err != nil {
			s.task.Log.Warn().Err(err).Str("volume", v.ID).Msg("A volume that was not attached could not be given back")
			return nil
		}
	}
	if err := s.forget(ctx, v.ID, attaching); err != nil {
		return err
	}
	return s.forget(ctx, v.ID, detaching)
}
