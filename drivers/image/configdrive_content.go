package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/ironmaster/ironmaster/store"
)

// Downloader reads images; Service is one.
type Downloader interface {
	Download(ctx context.Context, ref Ref, w io.Writer, progress *Progress) (int64, error)
}

// ConfigDriveContent returns a node's config drive as it goes onto a disk, nil when its instance has none. One that is named by
// its URL is fetched. What is malformed is InvalidParameterValue; contents and URLs never appear in the error.
func ConfigDriveContent(ctx context.Context, web Downloader, n *store.Node) ([]byte, error) {
	text, err := ConfigDrive(ConfigDriveNodeOf(n), n.InstanceInfo["configdrive"])
	if err != nil || text == "" {
		return nil, err
	}
	if !IsConfigDriveURL(text) {
		return DecodeConfigDrive(text)
	}
	content := &bounded{limit: maxDriveDownload}
	if _, err := web.Download(ctx, Ref{Href: text}, content, nil); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("can't download the configdrive content for node %s: %w", n.UUID, hideURL(err, text))
	}
	if drive, err := DecodeConfigDrive(content.String()); err == nil {
		return drive, nil
	}
	// It may also be there as it is.
	if content.Len() > maxConfigDrive {
		return nil, fmt.Errorf("config drive size exceeds maximum limit of 64MiB for node %s", n.UUID)
	}
	return content.Bytes(), nil
}

// maxDriveDownload is the size of the largest config drive in base64, in bytes.
const maxDriveDownload = 2 * maxConfigDrive

// bounded is a buffer that takes no more than its limit.
type bounded struct {
	bytes.Buffer
	limit int
}

var errTooLarge = errors.New("it is larger than a config drive may be")

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		return 0, errTooLarge
	}
	return b.Buffer.Write(p)
}

// hideURL takes a URL, which may be a secret, out of an error.
func hideURL(err error, url string) error {
	return errors.New(string(bytes.ReplaceAll([]byte(err.Error()), []byte(url), []byte("its URL"))))
}
