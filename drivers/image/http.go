package image

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

// maxRedirects bounds how often an HTTP image may point elsewhere.
const maxRedirects = 5

// httpSource reads images and checksum files from web servers.
type httpSource struct {
	cfg    HTTPConfig
	client *http.Client
}

func newHTTPSource(cfg HTTPConfig) (*httpSource, error) {
	transport, err := keystone.NewTransport(cfg.Timeout, keystone.TLS{CAFile: cfg.CAFile, Insecure: !cfg.Verify})
	if err != nil {
		return nil, fmt.Errorf("setting up TLS for image web servers: %w", err)
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return fmt.Errorf("stopped after %d redirects", maxRedirects)
		}
		return nil
	}}
	return &httpSource{cfg: cfg, client: client}, nil
}

func (h *httpSource) close() { h.client.CloseIdleConnections() }

// do sends a request and follows redirects; any answer but 200 is ImageRefValidationFailed in ironic's words, except
// that a listing which the server may not show (403 for a URL with a trailing slash) passes a HEAD, as in ironic, and that
// a part of the image answers a request for one.
func (h *httpSource) do(ctx context.Context, method, href string, from place) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, href, nil)
	if err != nil {
		return nil, refInvalid(href, "%w", peerError(err))
	}
	if req.URL.User == nil && h.cfg.Credentials.For(href) {
		req.SetBasicAuth(h.cfg.Credentials.User, h.cfg.Credentials.Password)
	}
	resumes := from.offset > 0 && from.version != ""
	if resumes {
		req.Header.Set("Range", rangeFrom(from.offset))
		req.Header.Set("If-Range", from.version)
	}
	resp, err := h.client.Do(req)
	if store.Unreachable(err) {
		err = store.Away(req.URL.Host, err)
	}
	if err != nil {
		return nil, err
	}
	hiddenListing := method == http.MethodHead && resp.StatusCode == http.StatusForbidden && strings.HasSuffix(href, "/")
	if resp.StatusCode == http.StatusOK || hiddenListing || resumes && resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	resp.Body.Close()
	err = refInvalid(href, "Got HTTP code %d instead of 200 in response to %s request.", resp.StatusCode, method)
	if unavailable(resp.StatusCode) {
		err = store.Away(resp.Request.URL.Host, err)
	}
	return nil, err
}

// unavailable are the answers of a server, or of what stands before it, that has to be asked again later.
func unavailable(status int) bool {
	return status >= http.StatusInternalServerError && status != http.StatusNotImplemented ||
		status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

func rangeFrom(offset int64) string { return fmt.Sprintf("bytes=%d-", offset) }

// version is what a server calls the bytes that it sends: a strong ETag or, for want of one, the time of their last change.
func version(header http.Header) string {
	if tag := header.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return header.Get("Last-Modified")
}

// bodyPlace tells where in the image the body of an answer begins and how long the whole is, -1 when that is not known.
func bodyPlace(resp *http.Response) (begin, size int64, err error) {
	if resp.StatusCode != http.StatusPartialContent {
		return 0, resp.ContentLength, nil
	}
	header := resp.Header.Get("Content-Range")
	begin, ok := rangeStart(header)
	if !ok {
		return 0, 0, fmt.Errorf("the server sent a part of the image, with the malformed Content-Range %q", header)
	}
	size = -1
	if resp.ContentLength >= 0 {
		size = begin + resp.ContentLength
	}
	return begin, size, nil
}

// head asks for an image's headers. The response's Request.URL is where redirects led to.
func (h *httpSource) head(ctx context.Context, href string) (*http.Response, error) {
	if limit := cmp.Or(h.cfg.VerifyTimeout, h.cfg.Timeout); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	resp, err := h.do(ctx, http.MethodHead, href, place{})
	if err != nil {
		return nil, asRefInvalid(href, err)
	}
	resp.Body.Close()
	return resp, nil
}

// Show reads what a web server tells about an image.
func (h *httpSource) Show(ctx context.Context, ref Ref) (Metadata, error) {
	resp, err := h.head(ctx, ref.Href)
	if err != nil {
		return Metadata{}, err
	}
	if resp.ContentLength < 0 {
		return Metadata{}, refInvalid(ref.Href, "Cannot determine image size as there is no Content-Length header "+
			"specified in response to HEAD request.")
	}
	meta := Metadata{
		Origin:   OriginHTTP,
		Size:     resp.ContentLength,
		Location: redirectedTo(ref.Href, resp),
		NoCache:  strings.Contains(resp.Header.Get("Cache-Control"), "no-store"),
	}
	if t, err := http.ParseTime(resp.Header.Get("Last-Modified")); err == nil {
		meta.UpdatedAt = t.UTC()
	}
	return meta, nil
}

// redirectedTo returns the URL that answered when it is not the one that was asked for.
func redirectedTo(href string, resp *http.Response) string {
	if resp.Request.Response == nil {
		return ""
	}
	if final := resp.Request.URL.String(); final != href {
		return final
	}
	return ""
}

// Open starts a download.
func (h *httpSource) Open(ctx context.Context, ref Ref, from place) (stream, error) {
	var st stream
	body, err := withStall(ctx, h.cfg.Timeout, func(ctx context.Context) (io.ReadCloser, error) {
		resp, err := h.do(ctx, http.MethodGet, ref.Href, from)
		if err != nil {
			return nil, err
		}
		st.version = version(resp.Header)
		if st.begin, st.size, err = bodyPlace(resp); err != nil {
			resp.Body.Close()
		}
		return resp.Body, err
	})
	if errors.Is(err, errStalled) {
		err = store.Away(hostOf(ref.Href), err)
	}
	if err != nil {
		return stream{}, asDownloadFailed(ref.Href, err)
	}
	st.ReadCloser = faulty{body, hostOf(ref.Href)}
	return st, nil
}

// text reads a small document, such as a list of checksums.
func (h *httpSource) text(ctx context.Context, href string, limit int64) (string, error) {
	body, err := h.Open(ctx, Ref{Href: href}, place{})
	if err != nil {
		return "", err
	}
	defer body.Close()
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return "", downloadFailed(href, err)
	}
	if int64(len(content)) > limit {
		return "", downloadFailed(href, fmt.Errorf("the document is larger than %d bytes", limit))
	}
	return string(content), nil
}

// asRefInvalid gives a failed HEAD its kind, unless it has one.
func asRefInvalid(href string, err error) error {
	if isUserError(err) {
		return err
	}
	return refInvalid(href, "%w", peerError(err))
}

// asDownloadFailed gives a failed GET its kind, unless it has one.
func asDownloadFailed(href string, err error) error {
	if isUserError(err) || errors.Is(err, context.Canceled) {
		return err
	}
	return downloadFailed(href, err)
}
