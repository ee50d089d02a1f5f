package image

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"
)

// Depot is all that a deploy interface needs of images: what they are (Service), one copy of each on this host (Cache),
// and a URL for each node (Server).
type Depot struct {
	*Service
	Cache  *Cache
	Server *Server
}

// OpenDepot opens the cache and starts the server.
func OpenDepot(ctx context.Context, cfg Config, log zerolog.Logger) (*Depot, error) {
	service, err := New(cfg, log)
	if err != nil {
		return nil, err
	}
	cache, err := OpenCache(service, log)
	if err != nil {
		return nil, err
	}
	server := NewServer(cfg.Server, log)
	if err := server.Start(ctx); err != nil {
		cache.Close()
		return nil, err
	}
	return &Depot{Service: service, Cache: cache, Server: server}, nil
}

// Close stops the server, letting transfers end until ctx does, and then the rest.
func (d *Depot) Close(ctx context.Context) error {
	err := d.Server.Close(ctx)
	d.Cache.Close()
	d.Service.Close()
	return err
}

// Supply is an image that is ready for a node to fetch.
type Supply struct {
	Cached
	Publication
}

// Provide fetches an image for a node and publishes it. token is that of an earlier publication, or empty; onServe is
// told how far the node is and may be nil.
func (d *Depot) Provide(ctx context.Context, req FetchRequest, token string, onServe func(Snapshot)) (Supply, error) {
	cached, err := d.Cache.Fetch(ctx, req)
	if err != nil {
		return Supply{}, err
	}
	return d.publish(req.Owner, req.Name, cached, token, onServe)
}

// Resume publishes again what a node held before a restart of this worker, under the token that its URL has. ok is false
// when the node holds nothing of that name any more: it must be provided anew.
func (d *Depot) Resume(node, name, token string, onServe func(Snapshot)) (supply Supply, ok bool, err error) {
	cached, ok := d.Cache.Held(node, name)
	if !ok {
		return Supply{}, false, nil
	}
	supply, err = d.publish(node, name, cached, token, onServe)
	return supply, err == nil, err
}

func (d *Depot) publish(node, name string, cached Cached, token string, onServe func(Snapshot)) (Supply, error) {
	publication, err := d.Server.Publish(Offer{Node: node, Name: name, Path: cached.Path, Token: token, OnProgress: onServe})
	if err != nil {
		return Supply{}, err
	}
	return Supply{Cached: cached, Publication: publication}, nil
}

// Withdraw takes back a node's URLs and its hold on images, all or only the names given.
func (d *Depot) Withdraw(node string, names ...string) error {
	d.Server.Withdraw(node, names...)
	if err := d.Cache.Release(node, names...); err != nil {
		return fmt.Errorf("withdrawing images: %w", err)
	}
	return nil
}
