package iscsi

import (
	"cmp"
	"context"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/agent"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/partition"
	"github.com/ironmaster/ironmaster/store"
)

// wholeDisk tells which kind of image the node is to get.
func wholeDisk(n *store.Node) bool { return n.DriverInternalInfo.Bool("is_whole_disk_image", false) }

// fetch brings the image here and holds it for the node. A partition image must fit the root partition.
func (d *Deploy) fetch(ctx context.Context, t *drivers.Task) (image.Cached, error) {
	info := t.Node.InstanceInfo
	wish := agent.ServeRequest{Instance: info, Raw: d.cfg.ForceRaw, Ref: image.Ref{Href: info.String("image_source"),
		Requester: image.Requester{Token: t.AuthToken, RequestID: cmp.Or(t.GlobalRequestID, t.RequestID)}}}
	if !image.IsGlance(wish.Ref.Href) {
		wish.DeclaredFormat = info.String("image_disk_format")
	}
	cached, err := d.images.Hold(ctx, t, wish)
	if err != nil {
		return cached, err
	}
	// gofail: var iscsiFetched struct{}
	return cached, checkRoot(t.Node, cached)
}

// held is the image that the node's first step has fetched. A worker that took the node over has to fetch it itself.
func (d *Deploy) held(ctx context.Context, t *drivers.Task) (image.Cached, error) {
	if cached, ok := d.images.Held(t.Node); ok {
		return cached, nil
	}
	return d.fetch(ctx, t)
}

func checkRoot(n *store.Node, cached image.Cached) error {
	if wholeDisk(n) {
		return nil
	}
	request, err := partition.ParseRequest(n.InstanceInfo)
	if err != nil {
		return err
	}
	return request.CheckImage(cached.VirtualSize)
}
