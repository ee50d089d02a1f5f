package storage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/gophercloud/gophercloud/v2"
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
// there, by this worker or another one; once it is attached, Cinder says to what, and the volume target's row how it is reached.
func (c *Cinder) AttachVolumes(ctx context.Context, t *drivers.Task) error {
	targets, way, err := volumesOf(ctx, t)
	if err != nil || len(targets) == 0 {
		return err
	}
	if err := c.attach(ctx, t, targets, way); err != nil {
		if store.KindOf(err) != store.StorageError {
			return err
		}
		t.Log.Error().Err(err).Msg("Attaching volumes failed")
		if undo := c.detachRetrying(ctx, t, targets, way, true); undo != nil {
			return undo
		}
		return err
	}
	return nil
}

// volumesOf are the node's volumes, each with the id that Cinder has for it, and the way to them. A node without volumes needs none.
func volumesOf(ctx context.Context, t *drivers.Task) (targets []*store.VolumeTarget, way connector, err error) {
	targets, err = t.Worker.VolumeTargets(ctx, t)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the node's volume targets: %w", err)
	}
	for _, v := range targets {
		if v.VolumeID == nil {
			return nil, nil, store.Errorf(store.StorageError, "volume_id missing from target %s.", v.UUID)
		}
	}
	if len(targets) > 0 {
		way, err = connectorOf(ctx, t)
	}
	return targets, way, err
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

func (c *Cinder) attach(ctx context.Context, t *drivers.Task, targets []*store.VolumeTarget, way connector) error {
	s, err := c.begin(ctx, t)
	if err != nil {
		return err
	}
	for _, target := range targets {
		id := *target.VolumeID
		v, err := s.volume(ctx, id)
		if err == nil && s.underWay(v, detaching) {
			// A detachment that was cut short left it neither attached nor free.
			if err := s.detachOne(ctx, id, way, false); err != nil {
				return err
			}
			v, err = s.volume(ctx, id)
		}
		if err != nil {
			return store.Errorf(store.StorageError, "Failed to get volume %s from cinder for node %s: %w", id, t.Node.UUID, err)
		}
		if attachment(t.Node, v) == nil {
			if err := s.attachOne(ctx, v, target, way); err != nil {
				return err
			}
			// gofail: var volumeAttached struct{}
			s.tellOwner(ctx, id, "attached")
		}
		if err := s.forget(ctx, id, attaching); err != nil {
			return err
		}
	}
	return nil
}

// attachOne takes a volume from "available", or from where an attachment was cut short, to "in-use". How it is reached is in the
// target's row before, for Cinder says so only while a volume is being attached.
func (s *session) attachOne(ctx context.Context, v *volumes.Volume, target *store.VolumeTarget, way connector) error {
	id, node := *target.VolumeID, s.task.Node
	if err := s.reserve(ctx, v, id); err != nil {
		return err
	}
	// gofail: var volumeReserved struct{}
	data, err := s.connect(ctx, id, way)
	if err != nil {
		return store.Errorf(store.StorageError, "Failed to initialize connection for volume %s to node %s: %w", id, node.UUID, err)
	}
	if _, told := data["volume_id"]; !told {
		data["volume_id"] = id
	}
	data["ironic_volume_uuid"] = v.ID
	target.Properties = data
	if err := s.task.Worker.SaveVolumeTarget(ctx, s.task, target); err != nil {
		return fmt.Errorf("writing how volume target %s is reached: %w", target.UUID, err)
	}
	// gofail: var volumeConnected struct{}
	err = s.do(ctx, func(ctx context.Context) error {
		return volumes.Attach(ctx, s.api, id, volumes.AttachOpts{MountPoint: "ironic_mountpoint", InstanceUUID: owner(node)}).ExtractErr()
	})
	if err != nil {
		return store.Errorf(store.StorageError, "Failed to inform cinder that the attachment for volume %s for node %s has been completed: %w",
			id, node.UUID, err)
	}
	return nil
}

// reserve has Cinder keep a volume for the node, unless an attachment that was cut short has done so.
func (s *session) reserve(ctx context.Context, v *volumes.Volume, id string) error {
	if s.underWay(v, attaching) {
		return nil
	}
	if err := s.note(ctx, id, attaching); err != nil {
		return err
	}
	// gofail: var volumeBeforeReserve struct{}
	err := s.do(ctx, func(ctx context.Context) error { return volumes.Reserve(ctx, s.api, id).ExtractErr() })
	if err == nil {
		return nil
	}
	if err := s.forgetRefused(ctx, id, attaching, err); err != nil {
		return err
	}
	return store.Errorf(store.StorageError, "Failed to reserve volume %s for node %s: %w)", id, s.task.Node.UUID, err)
}

// connect has Cinder make a volume reachable, and returns how it is reached, which may hold a password.
func (s *session) connect(ctx context.Context, id string, way connector) (store.Dict, error) {
	var answer struct {
		Info struct {
			Data json.RawMessage `json:"data"`
		} `json:"connection_info"`
	}
	body := map[string]any{"os-initialize_connection": map[string]any{"connector": way}}
	err := s.do(ctx, func(ctx context.Context) error {
		_, err := s.api.Post(ctx, s.api.ServiceURL("volumes", id, "action"), body, &answer,
			&gophercloud.RequestOpts{OkCodes: []int{http.StatusOK, http.StatusCreated, http.StatusAccepted}})
		return err
	})
	if err != nil {
		return nil, err
	}
	data, err := store.ParseDict(answer.Info.Data)
	if err == nil && len(data) == 0 {
		err = errors.New("there is none")
	}
	if err != nil {
		return nil, fmt.Errorf("reading connection_info.data of Cinder's answer: %w", err)
	}
	return data, nil
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

// forgetRefused is forget after a request that Cinder refused. One that was not answered may have been heard.
func (s *session) forgetRefused(ctx context.Context, id, what string, refusal error) error {
	if store.Unreachable(refusal) {
		return nil
	}
	return s.forget(ctx, id, what)
}
