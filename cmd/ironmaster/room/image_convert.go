package room

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// convertImage downloads a qcow2 image to a file, verifies it and converts it onto the disk with qemu-img.
func (a *agent) convertImage(ctx context.Context, info *imageInfo) error {
	file, err := os.CreateTemp(a.m.room.cfg.downloads(), "image-*.qcow2")
	if err != nil {
		return fmt.Errorf("making a file for the image: %w", err)
	}
	defer removeQuietly(a.log, file.Name())
	err = a.download(ctx, info, "/tmp/"+info.ID, func(content io.Reader) error {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return writeError(err)
		}
		if err := copyImage(file, content); err != nil {
			return err
		}
		end, err := file.Seek(0, io.SeekCurrent)
		if err == nil {
			err = file.Truncate(end)
		}
		return writeError(err)
	})
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	select {
	case a.m.room.converting <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-a.m.room.converting }()
	if err := a.inspectImage(ctx, info, file.Name()); err != nil {
		return err
	}
	// -n writes into the disk that is there, as into a device; zeroes become holes.
	_, err = qemuImg(ctx, "convert", "-n", "-f", "qcow2", "-O", "raw", file.Name(), a.m.info.Disk)
	if err != nil {
		return imageWriteError(err)
	}
	return nil
}

// inspectImage refuses what is not a self-contained qcow2 or does not fit.
func (a *agent) inspectImage(ctx context.Context, info *imageInfo, path string) error {
	text, err := qemuImg(ctx, "info", "-f", "qcow2", "--output=json", path)
	if err != nil {
		return invalidImage("Image " + info.ID + " is not a qcow2 image")
	}
	var found struct {
		VirtualSize int64  `json:"virtual-size"`
		Backing     string `json:"backing-filename"`
		Specific    struct {
			Data struct {
				DataFile string `json:"data-file"`
			} `json:"data"`
		} `json:"format-specific"`
	}
	if err := json.Unmarshal(text, &found); err != nil {
		return fmt.Errorf("reading what qemu-img found out: %w", err)
	}
	if found.Backing != "" || found.Specific.Data.DataFile != "" {
		return invalidImage("Image " + info.ID + " refers to another file")
	}
	if found.VirtualSize > a.m.disk.size {
		return imageWriteError(fmt.Errorf("the image has %d bytes, the device %d: No space left on device",
			found.VirtualSize, a.m.disk.size))
	}
	return nil
}

// qemuImg runs qemu-img. Its error is what qemu-img printed last.
func qemuImg(ctx context.Context, arguments ...string) ([]byte, error) {
	command := exec.CommandContext(ctx, "qemu-img", arguments...)
	var output, trouble bytes.Buffer
	command.Stdout, command.Stderr = &output, &trouble
	if err := command.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(trouble.String()), "\n")
		return nil, fmt.Errorf("qemu-img %s: %w: %s", arguments[0], err, lines[len(lines)-1])
	}
	return output.Bytes(), nil
}

func invalidImage(details string) *agentError {
	return newAgentError("InvalidImage", http.StatusInternalServerError, "The provided image is not valid for use", details)
}

func imageWriteError(err error) *agentError {
	return newAgentError("ImageWriteError", http.StatusInternalServerError, "Error writing image to device",
		fmt.Sprintf("Writing image to device %s failed with exit code 1. stdout: . stderr: %s", deviceName, err))
}

// maxConfigDrive is the largest config drive that ironic-python-agent accepts, unpacked.
const maxConfigDrive = 64 << 20

// configDriveSum is the SHA-256 of a config drive as the instance would see it. Ironic sends base64 of a gzip, or a URL
// of the same.
func (a *agent) configDriveSum(ctx context.Context, drive string) (string, error) {
	if strings.HasPrefix(drive, "http://") || strings.HasPrefix(drive, "https://") {
		var content bytes.Buffer
		err := a.transfer(ctx, drive, sha256.New(), func(r io.Reader) error {
			_, err := io.Copy(&content, io.LimitReader(r, 2*maxConfigDrive))
			return err
		})
		if err != nil {
			return "", commandFailed(fmt.Sprintf("Can't download the configdrive content. Cause: %s", err))
		}
		drive = content.String()
	}
	decoded := base64.NewDecoder(base64.StdEncoding, strings.NewReader(drive))
	unpacked, err := gzip.NewReader(decoded)
	if err != nil {
		return "", commandFailed(fmt.Sprintf("Error decoding configdrive: %s", err))
	}
	hash := sha256.New()
	size, err := io.Copy(hash, io.LimitReader(unpacked, maxConfigDrive+1))
	if err != nil {
		return "", commandFailed(fmt.Sprintf("Error decoding configdrive: %s", err))
	}
	if size > maxConfigDrive {
		return "", commandFailed("Config drive size exceeds maximum limit of 64MiB.")
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
