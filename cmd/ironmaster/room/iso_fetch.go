package room

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"time"
)

// isoTimeout bounds how long a machine tries to read its boot ISO.
const isoTimeout = 5 * time.Minute

// fetchParameters reads the kernel parameters from the ISO at the plan's URL. Like a BMC it reads only the sectors that
// it needs, and the whole image when the server knows no ranges. Like most BMCs it does not verify certificates
// (VirtualMedia.VerifyCertificate is false by default).
func (r *Room) fetchParameters(ctx context.Context, plan BootPlan) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, isoTimeout)
	defer cancel()
	remote := &remoteImage{ctx: ctx, client: r.insecure, url: plan.Image}
	parameters, err := kernelParameters(remote, plan.Mode)
	if !errors.Is(err, errNoRanges) {
		return parameters, err
	}
	file, err := os.CreateTemp(r.cfg.downloads(), "boot-*.iso")
	if err != nil {
		return nil, fmt.Errorf("making a file for the ISO: %w", err)
	}
	defer removeQuietly(r.cfg.Log, file.Name())
	err = remote.copyTo(file)
	if err == nil {
		parameters, err = kernelParameters(file, plan.Mode)
	}
	return parameters, errors.Join(err, file.Close())
}

// Download copies the image at a URL to a file, for computers that keep what is in their drives. Like most BMCs it does not
// verify certificates.
func Download(ctx context.Context, url string, file *os.File) error {
	client := newHTTPClient(&tls.Config{InsecureSkipVerify: true})
	defer client.CloseIdleConnections()
	return (&remoteImage{ctx: ctx, client: client, url: url}).copyTo(file)
}

// errNoRanges says that a server ignores Range headers.
var errNoRanges = errors.New("the server does not serve ranges")

// remoteImage reads an image over HTTP.
type remoteImage struct {
	ctx    context.Context
	client *http.Client
	url    string
}

// ReadAt makes one range request (RFC 9110 §14).
func (i *remoteImage) ReadAt(p []byte, offset int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	request, err := http.NewRequestWithContext(i.ctx, http.MethodGet, i.url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+int64(len(p))-1))
	response, err := do(i.client, request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusPartialContent:
		n, err := io.ReadFull(response.Body, p)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = io.EOF
		}
		return n, err
	case http.StatusOK:
		return 0, errNoRanges
	case http.StatusRequestedRangeNotSatisfiable:
		return 0, io.EOF
	}
	return 0, fmt.Errorf("the image server answered %s", response.Status)
}

func (i *remoteImage) copyTo(file *os.File) error {
	request, err := http.NewRequestWithContext(i.ctx, http.MethodGet, i.url, nil)
	if err != nil {
		return err
	}
	response, err := do(i.client, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the image server answered %s", response.Status)
	}
	if _, err := io.Copy(file, response.Body); err != nil {
		return fmt.Errorf("downloading the ISO: %w", err)
	}
	return nil
}

// do is client.Do without the URL in its error, because the paths that ironic hands out are secrets.
func do(client *http.Client, request *http.Request) (*http.Response, error) {
	response, err := client.Do(request)
	var failure *url.Error
	if errors.As(err, &failure) {
		return nil, failure.Err
	}
	return response, err
}
