package iscsi

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/image"
	"github.com/ironmaster/ironmaster/drivers/partition"
)

// configDrive is the instance's config drive as it goes onto the disk, nil when there is none. What is malformed is
// InvalidParameterValue; contents and URLs never appear in the error.
func (d *Deploy) configDrive(ctx context.Context, t *drivers.Task) ([]byte, error) {
	node := image.ConfigDriveNode{UUID: t.Node.UUID}
	if t.Node.Name != nil {
		node.Name = *t.Node.Name
	}
	text, err := image.ConfigDrive(node, t.Node.InstanceInfo["configdrive"])
	if err != nil || text == "" {
		return nil, err
	}
	if !image.IsConfigDriveURL(text) {
		return image.DecodeConfigDrive(text)
	}
	content := &bounded{limit: maxDownload}
	if _, err := d.web.Download(ctx, image.Ref{Href: text}, content, nil); err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, fmt.Errorf("can't download the configdrive content for node %s: %w", t.Node.UUID, hideURL(err, text))
	}
	if drive, err := image.DecodeConfigDrive(content.String()); err == nil {
		return drive, nil
	}
	// It may also be there as it is.
	if content.Len() > partition.SizeConfigDrive {
		return nil, fmt.Errorf("config drive size exceeds maximum limit of 64MiB for node %s", t.Node.UUID)
	}
	return content.Bytes(), nil
}

// maxDownload is the size of the largest config drive in base64, in bytes.
const maxDownload = 2 * partition.SizeConfigDrive

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
