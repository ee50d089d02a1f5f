package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// maxMetadata bounds the answer to a request for an image's metadata, in bytes.
const maxMetadata = 4 << 20

// glanceSource reads images from the OpenStack Image service, version 2.
type glanceSource struct {
	cfg     GlanceConfig
	session *glanceSession
	log     zerolog.Logger
	// pause is the wait between two tries; tests shorten it.
	pause time.Duration
}

func newGlanceSource(cfg GlanceConfig, log zerolog.Logger) (*glanceSource, error) {
	session, err := newGlanceSession(cfg)
	if err != nil {
		return nil, err
	}
	return &glanceSource{cfg: cfg, session: session, log: log, pause: time.Second}, nil
}

func (g *glanceSource) close() { g.session.http.CloseIdleConnections() }

// Show reads an image's metadata. The image must be active and readable by the requester.
func (g *glanceSource) Show(ctx context.Context, ref Ref) (Metadata, error) {
	id, err := glanceID(ref.Href)
	if err != nil {
		return Metadata{}, err
	}
	var fields map[string]any
	err = g.try(ctx, ref, "get", func(client *gophercloud.ServiceClient) error {
		ctx, cancel := g.deadline(ctx)
		defer cancel()
		resp, err := client.Get(ctx, client.ServiceURL("images", id), nil, &gophercloud.RequestOpts{KeepResponseBody: true})
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		dec := json.NewDecoder(io.LimitReader(resp.Body, maxMetadata))
		dec.UseNumber()
		if err := dec.Decode(&fields); err != nil {
			return fmt.Errorf("decoding the metadata of image %s: %w", id, err)
		}
		return nil
	})
	if err != nil {
		return Metadata{}, err
	}
	meta := glanceMetadata(fields)
	if meta.Status != "active" {
		return Metadata{}, store.Errorf(store.ImageUnacceptable,
			"Image %s is unacceptable: The image is required to be in an active state.", id)
	}
	if !g.readable(meta, ref.Requester) {
		return Metadata{}, store.Errorf(store.ImageNotFound, "Image %s could not be found.", id)
	}
	return meta, nil
}

// deadline bounds a request whose answer is small; each part of it has the same bound from the transport.
func (g *glanceSource) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if g.cfg.Timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, g.cfg.Timeout)
}

// readable decides whether the requester may use an image. Glance itself decides when the requester's token is used;
// otherwise the image must be public or of the requester's project, so that nobody reaches another project's images
// through this service's credentials. Where neither ironic nor Glance knows users there is nothing to protect: ironic
// insists on public images there too, but a Glance without Keystone lets nobody make one public.
func (g *glanceSource) readable(meta Metadata, who Requester) bool {
	switch {
	case who.Token != "", meta.Visibility == "public":
		return true
	case who.ProjectID == "":
		return !g.session.keystone()
	}
	return meta.Owner == who.ProjectID
}

// Open starts a download. The bytes of an image never change once it is active.
func (g *glanceSource) Open(ctx context.Context, ref Ref, from place) (stream, error) {
	id, err := glanceID(ref.Href)
	if err != nil {
		return stream{}, err
	}
	var st stream
	body, err := withStall(ctx, g.cfg.Timeout, func(ctx context.Context) (body io.ReadCloser, err error) {
		err = g.try(ctx, ref, "data", func(client *gophercloud.ServiceClient) error {
			resp, err := g.get(ctx, client, id, from)
			if err != nil {
				return err
			}
			if resp.StatusCode == http.StatusNoContent {
				resp.Body.Close()
				return downloadFailed(ref.Href, store.Errorf(store.ImageDownloadFailed, "image contains no data."))
			}
			if st.begin, st.size, err = bodyPlace(resp); err != nil {
				resp.Body.Close()
				return err
			}
			body = resp.Body
			return nil
		})
		return body, err
	})
	if errors.Is(err, errStalled) {
		err = store.Away(serviceGlance, err)
	}
	if err != nil {
		return stream{}, asDownloadFailed(ref.Href, err)
	}
	st.ReadCloser = faulty{body, serviceGlance}
	return st, nil
}

// serviceGlance is what health and logs call Glance.
const serviceGlance = "glance"

// get asks for an image's bytes. A Glance that cannot send a part of them, for its store or something before it can not, is
// asked for the whole.
func (g *glanceSource) get(ctx context.Context, client *gophercloud.ServiceClient, id string, from place) (*http.Response, error) {
	options := &gophercloud.RequestOpts{KeepResponseBody: true, OkCodes: []int{http.StatusOK, http.StatusNoContent},
		MoreHeaders: map[string]string{"Accept": "application/octet-stream"}}
	url := client.ServiceURL("images", id, "file")
	if from.offset > 0 {
		part := *options
		part.OkCodes = append(part.OkCodes, http.StatusPartialContent)
		part.MoreHeaders = map[string]string{"Accept": "application/octet-stream", "Range": rangeFrom(from.offset)}
		resp, err := client.Get(ctx, url, nil, &part)
		if !gophercloud.ResponseCodeIs(err, http.StatusRequestedRangeNotSatisfiable) {
			return resp, err
		}
	}
	return client.Get(ctx, url, nil, options)
}

// try runs call, again after a failure to reach Glance as often as configured, and gives what is left ironic's kinds.
func (g *glanceSource) try(ctx context.Context, ref Ref, method string, call func(*gophercloud.ServiceClient) error) error {
	for attempt := 0; ; attempt++ {
		client, err := g.session.client(ctx, ref.Requester)
		if err != nil {
			return err
		}
		err = call(client)
		if err == nil || isUserError(err) || ctx.Err() != nil {
			return err
		}
		err = glanceError(ref.Href, client.Endpoint, err)
		if store.KindOf(err) != store.GlanceConnectionFailed || attempt >= g.cfg.Retries {
			return err
		}
		g.log.Warn().Err(err).Str("method", method).Int("attempt", attempt+1).Msg("Glance did not answer, trying again")
		select {
		case <-time.After(g.pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// glanceError maps an answer of Glance, or none, to ironic's kinds.
func glanceError(href, endpoint string, err error) error {
	id, idErr := glanceID(href)
	if idErr != nil {
		return idErr
	}
	var code gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &code) {
		failed := error(store.Errorf(store.GlanceConnectionFailed,
			"Connection to glance endpoint %s failed: %w", Redact(endpoint), peerError(err)))
		if store.Unreachable(err) {
			failed = store.Away(serviceGlance, failed)
		}
		return failed
	}
	switch code.Actual {
	case http.StatusUnauthorized, http.StatusForbidden:
		return store.Errorf(store.ImageNotAuthorized, "Not authorized for image %s.", id)
	case http.StatusNotFound:
		return store.Errorf(store.ImageNotFound, "Image %s could not be found.", id)
	case http.StatusBadRequest:
		return store.Errorf(store.Invalid, "Glance refuses the request for image %s (HTTP code 400).", id)
	}
	err = store.Errorf(store.GlanceConnectionFailed,
		"Connection to glance endpoint %s failed: HTTP code %d", Redact(endpoint), code.Actual)
	if unavailable(code.Actual) {
		err = store.Away(serviceGlance, err)
	}
	return err
}

// glanceAttributes are the fields that Glance gives every image; all others are properties.
var glanceAttributes = []string{
	"size", "disk_format", "owner", "container_format", "checksum", "id", "name", "created_at", "updated_at",
	"deleted_at", "deleted", "status", "min_disk", "min_ram", "tags", "visibility", "protected", "file", "schema",
	"os_hash_algo", "os_hash_value",
}

func glanceMetadata(fields store.Dict) Metadata {
	integer := func(key string) int64 {
		n, _, err := fields.Int(key)
		if err != nil {
			return 0
		}
		return n
	}
	meta := Metadata{
		Origin:          OriginGlance,
		Name:            fields.String("name"),
		Status:          fields.String("status"),
		Visibility:      fields.String("visibility"),
		Owner:           fields.String("owner"),
		DiskFormat:      fields.String("disk_format"),
		ContainerFormat: fields.String("container_format"),
		Checksum:        fields.String("checksum"),
		HashAlgo:        fields.String("os_hash_algo"),
		HashValue:       fields.String("os_hash_value"),
		Size:            integer("size"),
		Properties:      maps.Clone(fields),
	}
	for _, tag := range fields.List("tags") {
		if text, ok := tag.(string); ok {
			meta.Tags = append(meta.Tags, text)
		}
	}
	if t, err := time.Parse(time.RFC3339, fields.String("updated_at")); err == nil {
		meta.UpdatedAt = t.UTC()
	}
	for _, key := range glanceAttributes {
		delete(meta.Properties, key)
	}
	for _, key := range []string{"block_device_mapping", "mappings"} {
		decodeProperty(meta.Properties, key)
	}
	return meta
}

// decodeProperty replaces a property that holds JSON in a text by its value, as ironic does for these two.
func decodeProperty(properties store.Dict, key string) {
	text, ok := properties[key].(string)
	if !ok {
		return
	}
	wrapped, err := store.ParseDict([]byte(`{"v":` + text + `}`))
	if err == nil {
		properties[key] = wrapped["v"]
	}
}
