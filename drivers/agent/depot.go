package agent

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/store"
)

const (
	// diskName is what a node's image is called in the depot.
	diskName = "disk"
	// journalImageToken is the key under which this worker remembers the secret part of the URL that a node was given.
	journalImageToken = "agent.image_token"
)

// Depot publishes images from an image.Depot and tells the followers of progress events what moves.
type Depot struct{ images *image.Depot }

// NewDepot returns a Publisher over the depot.
func NewDepot(images *image.Depot) Depot { return Depot{images} }

var _ Publisher = Depot{}

// Serve fetches, checks, converts and publishes. The URL's secret goes to the journal before the node can know it, so that
// the URL outlives a restart of this worker.
func (d Depot) Serve(ctx context.Context, t *drivers.Task, wish ServeRequest) (Served, error) {
	var supply image.Supply
	err := d.order(ctx, t, wish, func(req image.FetchRequest) (_ image.Cached, err error) {
		supply, err = d.images.Provide(ctx, req, "", watching(t).taken)
		return supply.Cached, err
	})
	if err != nil {
		return Served{}, err
	}
	// gofail: var imageProvided struct{}
	if err := t.Worker.Journal(t).Put(ctx, journalImageToken, supply.Token); err != nil {
		return Served{}, err
	}
	// gofail: var imagePromised struct{}
	return Served{URL: supply.URL, Format: supply.Format, HashAlgo: supply.HashAlgo, HashValue: supply.HashValue,
		Size: supply.Size}, nil
}

// Hold fetches, checks and converts an image and keeps it for the node until Withdraw. It gives it to nobody.
func (d Depot) Hold(ctx context.Context, t *drivers.Task, wish ServeRequest) (cached image.Cached, err error) {
	return cached, d.order(ctx, t, wish, func(req image.FetchRequest) (image.Cached, error) {
		cached, err = d.images.Cache.Fetch(ctx, req)
		return cached, err
	})
}

// Held is what Hold keeps for a node, also after this worker was restarted.
func (d Depot) Held(n *store.Node) (image.Cached, bool) { return d.images.Cache.Held(n.UUID, diskName) }

// order words a wish as a request, and tells of the fetch.
func (d Depot) order(ctx context.Context, t *drivers.Task, wish ServeRequest, fetch func(image.FetchRequest) (image.Cached, error)) error {
	req := image.FetchRequest{Ref: wish.Ref, Owner: t.Node.UUID, Name: diskName, ForceRaw: wish.Raw,
		DeclaredFormat: wish.DeclaredFormat, OnProgress: watching(t).fetched}
	if !image.IsGlance(wish.Ref.Href) {
		patient := image.Patient{Service: d.images.Service}
		var err error
		if req.Checksum, err = patient.Checksum(ctx, wish.Instance); err != nil {
			return err
		}
	}
	began := time.Now()
	drivers.Overhear(ctx, drivers.Exchange{With: drivers.WithImages, Asked: drivers.FetchBegun})
	cached, err := fetch(req)
	drivers.Overhear(ctx, drivers.Exchange{With: drivers.WithImages, Asked: drivers.FetchEnded, Took: time.Since(began), Err: err,
		Answer: fmt.Sprintf("%.1f MiB, %s", float64(cached.Size)/(1<<20), cached.Format)})
	return err
}

// Resume publishes again what the node held, under the token that its URL has. A node whose image comes from elsewhere
// holds nothing.
func (d Depot) Resume(ctx context.Context, t *drivers.Task) (served bool, err error) {
	var token string
	found, err := t.Worker.Journal(t).Get(ctx, journalImageToken, &token)
	if err != nil || !found || token == "" || !strings.Contains(t.Node.InstanceInfo.String("image_url"), token) {
		return false, err
	}
	_, served, err = d.images.Resume(t.Node.UUID, diskName, token, watching(t).taken)
	return served, err
}

// Withdraw takes back the node's URL and its hold on the image.
func (d Depot) Withdraw(ctx context.Context, t *drivers.Task) error {
	if err := d.images.Withdraw(t.Node.UUID, diskName); err != nil {
		return err
	}
	return t.Worker.Journal(t).Put(ctx, journalImageToken, "")
}

// watch reports progress from other goroutines than the task's, and after the task has ended. It holds a task of its own,
// with no more of the node than its identity.
type watch struct{ task *drivers.Task }

func watching(t *drivers.Task) watch {
	n := t.Node
	return watch{&drivers.Task{Worker: t.Worker, Log: t.Log, Shared: true, Node: &store.Node{ID: n.ID, UUID: n.UUID,
		Name: n.Name, Driver: n.Driver, InstanceUUID: n.InstanceUUID, ProvisionState: n.ProvisionState,
		TargetProvisionState: n.TargetProvisionState}}}
}

func (w watch) fetched(s image.Snapshot) {
	doing := map[image.Phase]string{
		image.PhaseWaiting:  "waiting for other images",
		image.PhaseDownload: "downloading the image",
		image.PhaseConvert:  "converting the image to raw",
		image.PhaseHash:     "computing the image's checksum",
		image.PhaseAway:     "waiting for the image's source, which is away",
	}[s.Phase]
	waiting := s.Phase == image.PhaseWaiting || s.Phase == image.PhaseAway
	w.task.Worker.Report(w.task, drivers.Progress{Doing: doing, Waiting: waiting, Bytes: s.Done,
		Total: s.Total})
}

func (w watch) taken(s image.Snapshot) {
	w.task.Worker.Report(w.task, drivers.Progress{Doing: "writing the image", Bytes: s.Done, Total: s.Total})
}
