package storage

import (
	"context"
	"fmt"

	"github.com/gophercloud/gophercloud/v2/openstack/blockstorage/v3/volumes"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// keyUnderWay holds, in driver_internal_info, the volumes that are being attached or detached: id to one of the words below, which are
// Cinder's for the state that such a volume is in. Cinder does not say who brought it there.
const keyUnderWay = "ironmaster_volumes_under_way"

const (
	attaching = "attaching"
	detaching = "detaching"
)

// AttachVolumes attaches all of the node's volumes, or none.
//
// Crash windows: what is about to be reserved stands in the row before. After the reservation the volume is "attaching", and goes on from
// there, by this worker or another one; once it is attached, Cinder says to what.
func (c *Cinder) AttachVolumes(ctx context.Context, t *drivers.Task) error {
	ids, way, err := volumesOf(ctx, t)
	if err != nil || len(ids) == 0 {
		return err
	}
	if err := c.attach(ctx, t, ids, way); err != nil {
		if store.KindOf(err) != store.StorageError {
			return err
		}
		t.Log.Error().Err(err).Msg("Attaching volumes failed")
		if undo := c.detachRetrying(ctx, t, ids, way, true); undo != nil {
			return undo
		}
		return err
	}
	return nil
}

// volumesOf are the ids that Cinder has for the node's volumes, and the way to them. A node without volumes needs none.
func volumesOf(ctx context.Context, t *drivers.Task) (ids []string, way connector, err error) {
	targets, err := t.Worker.VolumeTargets(ctx, t)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the node's volume targets: %w", err)
	}
	for _, v := range targets {
		if v.VolumeID == nil {
			return nil, nil, store.Errorf(store.StorageError, "volume_id missing from target %s.", v.UUID)
		}
		ids = append(ids, *v.VolumeID)
	}
	if len(ids) > 0 {
		way, err = connectorOf(ctx, t)
	}
	return ids, way, err
}

// begin opens a session for volumes of a node.
func (c *Cinder) begin(ctx context.Context, t *drivers.Task) (*session, error) {
	s, err := c.session(ctx, t)
	switch {
	case err == nil:
		return s, nil
	case c.cfg.SDKTexts:
		return nil, store.Errorf(store.StorageError, "Failed to connect to block storage service : %w", err)
	}
	return nil, store.Errorf(store.StorageError, "Failed to initialize cinder client for operations on node %s: %w", t.Node.UUID, err)
}

func (c *Cinder) attach(ctx context.Context, t *drivers.Task, ids []string, way connector) error {
	s, err := c.begin(ctx, t)
	if err != nil {
		return err
	}
	for _, id := range ids {
		v, err := s.volume(ctx, id)
		if err != nil {
			return store.Errorf(store.StorageError, "Failed to get volume %s from cinder for node %s: %w", id, t.Node.UUID, err)
		}
		if attachment(t.Node, v) == nil {
			if err := s.attachOne(ctx, v, way); err != nil {
				return err
			}
			s.tellOwner(ctx, id, "attached")
		}
		if err := s.forget(ctx, id, attaching); err != nil {
			return err
		}
	}
	return nil
}

// attachOne takes a volume from "available", or from where an attachment was cut short, to "in-use".
func (s *session) attachOne(ctx context.Context, v *volumes.Volume, way connector) error {
	id, node := v.ID, s.task.Node
	if !s.underWay(v, attaching) {
		if err := s.note(ctx, id, attaching); err != nil {
			return err
		}
		if err := s.do(ctx, func(ctx context.Context) error { return volumes.Reserve(ctx, s.api, id).ExtractErr() }); err != nil {
			if err := s.forget(ctx, id, attaching); err != nil {
				return err
			}
			return store.Errorf(store.StorageError, "Failed to reserve volume %s for node %s: %w)", id, node.UUID, err)
		}
	}
	err := s.do(ctx, func(ctx context.Context) error { return volumes.InitializeConnection(ctx, s.api, id, way).Err })
	if err != nil {
		return store.Errorf(store.StorageError, "Failed to initialize connection for volume %s to node %s: %w", id, node.UUID, err)
	}
	err = s.do(ctx, func(ctx context.Context) error {
		return volumes.Attach(ctx, s.api, id, volumes.AttachOpts{MountPoint: "ironic_mountpoint", InstanceUUID: owner(node)}).ExtractErr()
	})
	if err != nil {
		return store.Errorf(store.StorageError, "Failed to inform cinder that the attachment for volume %s for node %s has been completed: %w",
			id, node.UUID, err)
	}
	return nil
}

// underWay tells that a volume is in a state to which this node's flow brought it.
func (s *session) underWay(v *volumes.Volume, what string) bool {
	return v.Status == what && s.task.Node.DriverInternalInfo.Dict(keyUnderWay).String(v.ID) == what
}

// note writes down what is about to be done with a volume.
func (s *session) note(ctx context.Context, id, what string) error {
	n := s.task.Node
	if n.DriverInternalInfo == nil {
		n.DriverInternalInfo = store.Dict{}
	}
	all := n.DriverInternalInfo.Dict(keyUnderWay).Clone()
	if all == nil {
		all = store.Dict{}
	}
	all[id] = what
	n.DriverInternalInfo[keyUnderWay] = all
	return s.task.Worker.Save(ctx, s.task)
}

// forget takes back a note once what it told of is done.
func (s *session) forget(ctx context.Context, id, what string) error {
	n := s.task.Node
	all := n.DriverInternalInfo.Dict(keyUnderWay).Clone()
	if all.String(id) != what {
		return nil
	}
	delete(all, id)
	n.DriverInternalInfo[keyUnderWay] = all
	if len(all) == 0 {
		delete(n.DriverInternalInfo, keyUnderWay)
	}
	return s.task.Worker.Save(ctx, s.task)
}
