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

// convertImage downloads a qcow2 image and converts it onto the disk with qemu-img.
func (a *agent) convertImage(ctx context.Context, info *imageInfo, to piece) error {
	path, err := a.fetchImage(ctx, info)
	if err != nil {
		return err
	}
	defer removeQuietly(a.log, path)
	size, err := inspectImage(ctx, info, path)
	if err != nil {
		return err
	}
	if size > to.end-to.offset {
		return imageWriteError(to.device, fmt.Errorf("the image has %d bytes, the device %d: No space left on device",
			size, to.end-to.offset))
	}
	return a.convert(ctx, path, to)
}

// fetchImage downloads a qcow2 image to a file and verifies it. The caller removes the file.
func (a *agent) fetchImage(ctx context.Context, info *imageInfo) (path string, err error) {
	file, err := os.CreateTemp(a.m.room.cfg.downloads(), "image-*.qcow2")
	if err != nil {
		return "", fmt.Errorf("making a file for the image: %w", err)
	}
	defer func() {
		if err = errors.Join(err, file.Close()); err != nil {
			removeQuietly(a.log, file.Name())
		}
	}()
	return file.Name(), a.download(ctx, info, "/tmp/"+info.ID, func(content io.Reader) error {
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
}

// convert writes a qcow2 image that fits into a piece of the disk.
func (a *agent) convert(ctx context.Context, path string, to piece) error {
	select {
	case a.m.room.converting <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-a.m.room.converting }()
	// -n writes into the disk that is there, as into a device; zeroes become holes.
	target := fmt.Sprintf("driver=raw,offset=%d,size=%d,file.driver=file,file.filename=%s", to.offset, to.end-to.offset,
		strings.ReplaceAll(a.m.info.Disk, ",", ",,"))
	if _, err := qemuImg(ctx, "convert", "-n", "-f", "qcow2", path, "--target-image-opts", target); err != nil {
		return imageWriteError(to.device, err)
	}
	return nil
}

// inspectImage refuses what is not a self-contained qcow2, and returns how many bytes the image has for its reader.
func inspectImage(ctx context.Context, info *imageInfo, path string) (size int64, err error) {
	text, err := qemuImg(ctx, "info", "-f", "qcow2", "--output=json", path)
	if err != nil {
		return 0, invalidImage("Image " + info.ID + " is not a qcow2 image")
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
		return 0, fmt.Errorf("reading what qemu-img found out: %w", err)
	}
	if found.Backing != "" || found.Specific.Data.DataFile != "" {
		return 0, invalidImage("Image " + info.ID + " refers to another file")
	}
	return found.VirtualSize, nil
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

func imageWriteError(device string, err error) *agentError {
	return newAgentError("ImageWriteError", http.StatusInternalServerError, "Error writing image to device",
		fmt.Sprintf("Writing image to device %s failed with exit code 1. stdout: . stderr: %s", device, err))
}

// maxConfigDrive is the largest config drive that ironic-python-agent accepts, unpacked.
const maxConfigDrive = 64 << 20

// configDrive is a config drive as the instance would see it, nil without one. Ironic sends base64 of a gzip, or a URL of the
// same.
func (a *agent) configDrive(ctx context.Context, given *string) ([]byte, error) {
	if given == nil {
		return nil, nil
	}
	drive := *given
	if strings.HasPrefix(drive, "http://") || strings.HasPrefix(drive, "https://") {
		var content bytes.Buffer
		err := a.transfer(ctx, drive, sha256.New(), func(r io.Reader) error {
			_, err := io.Copy(&content, io.LimitReader(r, 2*maxConfigDrive))
			return err
		})
		if err != nil {
			return nil, commandFailed(fmt.Sprintf("Can't download the configdrive content. Cause: %s", err))
		}
		drive = content.String()
	}
	decoded := base64.NewDecoder(base64.StdEncoding, strings.NewReader(drive))
	unpacked, err := gzip.NewReader(decoded)
	if err != nil {
		return nil, commandFailed(fmt.Sprintf("Error decoding configdrive: %s", err))
	}
	content, err := io.ReadAll(io.LimitReader(unpacked, maxConfigDrive+1))
	if err != nil {
		return nil, commandFailed(fmt.Sprintf("Error decoding configdrive: %s", err))
	}
	if len(content) > maxConfigDrive {
		return nil, commandFailed("Config drive size exceeds maximum limit of 64MiB.")
	}
	return content, nil
}

// driveSum is the SHA-256 of a config drive, "" without one.
func driveSum(content []byte) string {
	if content == nil {
		return ""
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
