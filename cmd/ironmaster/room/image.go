package room

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"github.com/ironmaster/ironmaster/store"
)

// imageInfo is what ironic says about an image in write_image. The sizes are in MiB.
type imageInfo struct {
	ID          string   `json:"id"`
	URLs        []string `json:"urls"`
	DiskFormat  string   `json:"disk_format"`
	Checksum    string   `json:"checksum"`
	HashAlgo    string   `json:"os_hash_algo"`
	HashValue   string   `json:"os_hash_value"`
	ImageType   string   `json:"image_type"`
	ConfigDrive *string  `json:"configdrive"`
	// The rest comes with a partition image.
	BootMode          string `json:"deploy_boot_mode"`
	DiskLabel         string `json:"disk_label"`
	Root              int64  `json:"root_mb"`
	Swap              int64  `json:"swap_mb"`
	Ephemeral         int64  `json:"ephemeral_mb"`
	EphemeralFormat   string `json:"ephemeral_format"`
	PreserveEphemeral bool   `json:"preserve_ephemeral"`
}

// chunk is how much of an image one download holds in memory.
const chunk = 256 << 10

var chunks = sync.Pool{New: func() any { return new([chunk]byte) }}

// writeImage is the deploy step: it downloads the image, checks it and leaves it on the disk. Around a partition image it
// makes partitions; with a whole-disk image the rest of the disk is not touched. A config drive for a whole-disk image is only
// recorded: the partition that a real agent would add for it would change bytes that the room promises to be those of the
// image.
func (a *agent) writeImage(ctx context.Context, request stepRequest) (answer any, err error) {
	end := a.m.beginWrite()
	defer func() { end(err) }()
	info := request.Args.ImageInfo
	if err := checkImageInfo(info); err != nil {
		return nil, err
	}
	// As ironic-python-agent does, to learn of a root device hint set since it started. It writes without, too.
	if _, err := a.lookup(ctx, a.api, a.node); err != nil {
		a.log.Debug().Err(err).Msg("looking up the node again")
	}
	drive := request.Args.ConfigDrive
	if drive == nil {
		drive = info.ConfigDrive
	}
	content, err := a.configDrive(ctx, drive)
	if err != nil {
		return nil, err
	}
	write := a.writeWholeDisk
	if info.ImageType == "partition" {
		write = a.writePartitions
	}
	wrote, err := write(ctx, info, content)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.wrote = wrote
	a.mu.Unlock()
	a.m.change(func(s *state) {
		s.writes++
		s.configDrive = driveSum(content)
	})
	text := fmt.Sprintf("prepare_image: image (%s) written to device %s root_uuid=%s", info.ID, deviceName, wrote[rootUUID])
	if esp := wrote[espUUID]; esp != nil && info.BootMode == store.BootModeUEFI {
		text += fmt.Sprintf(" efi_system_partition_uuid=%s", esp)
	}
	return map[string]string{"result": text}, nil
}

// The keys of what get_partition_uuids tells.
const rootUUID, espUUID = "root uuid", "efi system partition uuid"

func checkImageInfo(info *imageInfo) error {
	switch {
	case info == nil || info.ID == "" || len(info.URLs) == 0:
		return agentInvalidParams(`Image is missing "id" or "urls" field.`)
	case strings.ContainsAny(info.ID, "/\x00"):
		return agentInvalidParams("Image id " + info.ID + " is not a file name.")
	case info.DiskFormat != "raw" && info.DiskFormat != "qcow2":
		return newAgentError("InvalidImage", http.StatusInternalServerError, "The provided image is not valid for use",
			"Image format "+info.DiskFormat+" is not one of raw, qcow2")
	}
	return nil
}

func (a *agent) writeWholeDisk(ctx context.Context, info *imageInfo, _ []byte) (map[string]any, error) {
	whole := piece{device: deviceName, end: a.m.disk.size}
	write := a.streamImage
	if info.DiskFormat == "qcow2" {
		write = a.convertImage
	}
	if err := write(ctx, info, whole); err != nil {
		return nil, err
	}
	root, err := a.m.disk.identifier()
	return map[string]any{rootUUID: root}, err
}

// piece is a part of the disk, and its name.
type piece struct {
	device      string
	offset, end int64
}

// streamImage writes a raw image to the disk while it arrives. The checksum is known only at the end, when a wrong image
// is on the disk already; the failed deployment then never boots it.
func (a *agent) streamImage(ctx context.Context, info *imageInfo, to piece) error {
	return a.m.disk.change(func(f *os.File) error {
		return a.download(ctx, info, to.device, func(content io.Reader) error {
			w := &sparseWriter{file: f, offset: to.offset, end: to.end}
			if err := copyImage(w, content); err != nil {
				return err
			}
			return writeError(w.flush())
		})
	})
}

// download fetches an image from the first of its URLs that answers, hands its content to use and verifies the checksum
// of what was read. A transfer that breaks is begun again from its start.
func (a *agent) download(ctx context.Context, info *imageInfo, location string, use func(io.Reader) error) error {
	var failed []string
	for _, address := range info.URLs {
		for attempt := 1; ; attempt++ {
			hash, want, err := imageHash(info)
			if err != nil {
				return err
			}
			err = a.transfer(ctx, address, hash, use)
			if err == nil {
				return verify(info, location, want, hex.EncodeToString(hash.Sum(nil)))
			}
			var local *diskError
			if errors.As(err, &local) {
				return imageDownloadError(info.ID, fmt.Sprintf("Unable to write image to device %s. Error: %s", location, local))
			}
			if attempt == a.m.room.cfg.DownloadAttempts || !retriable(err) || !pause(ctx, a.m.room.cfg.DownloadPause) {
				failed = append(failed, fmt.Sprintf("URL: %s. Error: %s", address, err))
				break
			}
		}
	}
	return imageDownloadError(info.ID, strings.Join(failed, "\n "))
}

// statusError is an HTTP answer that is not the image.
type statusError struct {
	status  int
	address string
	body    string
}

func (e *statusError) Error() string {
	return fmt.Sprintf("Received status code %d from %s, expected 200. Response body: %s", e.status, e.address, e.body)
}

// retriable tells whether another attempt may do better: a client error stays one.
func retriable(err error) bool {
	var answer *statusError
	return !errors.As(err, &answer) || answer.status >= http.StatusInternalServerError
}

func (a *agent) transfer(ctx context.Context, address string, sum hash.Hash, use func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return errors.New("the URL is not valid")
	}
	response, err := do(a.client, request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(response.Body, 1024))
		if err != nil {
			return err
		}
		return &statusError{response.StatusCode, address, string(body)}
	}
	return use(io.TeeReader(a.throttled(ctx, response.Body), sum))
}

// throttled slows a download to the rate that the room allows each machine.
func (a *agent) throttled(ctx context.Context, body io.Reader) io.Reader {
	limit := a.m.room.cfg.DownloadRate
	if limit <= 0 {
		return body
	}
	return &slowReader{ctx: ctx, body: body, limiter: rate.NewLimiter(rate.Limit(limit), slowPiece)}
}

// slowPiece is the most that a slow machine reads at once.
const slowPiece = 64 << 10

type slowReader struct {
	ctx     context.Context
	body    io.Reader
	limiter *rate.Limiter
}

func (r *slowReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p[:min(len(p), slowPiece)])
	if n > 0 {
		if waitErr := r.limiter.WaitN(r.ctx, n); waitErr != nil {
			return n, waitErr
		}
	}
	return n, err
}

// diskError is a failure of the machine's disk during a download, which no retry mends.
type diskError struct{ err error }

func (e *diskError) Error() string { return e.err.Error() }
func (e *diskError) Unwrap() error { return e.err }

func writeError(err error) error {
	if err == nil {
		return nil
	}
	return &diskError{err}
}

// copyImage copies with a buffer of the pool. It fills the buffer before each write, so that a slow sender does not make
// the pieces too small to become holes.
func copyImage(w io.Writer, content io.Reader) error {
	buffer := chunks.Get().(*[chunk]byte)
	defer chunks.Put(buffer)
	for {
		n, err := io.ReadFull(content, buffer[:])
		if _, err := w.Write(buffer[:n]); err != nil {
			return writeError(err)
		}
		// ReadFull turns the end of the stream into an ErrUnexpectedEOF of its own, and passes on that of a broken
		// transfer as it is: only a further read tells them apart.
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			var one [1]byte
			if _, err := content.Read(one[:]); !errors.Is(err, io.EOF) {
				return io.ErrUnexpectedEOF
			}
			return nil
		case err != nil:
			return err
		}
	}
}

// imageHash returns the hash to use and the expected value: os_hash_algo when there is one, else the old checksum, whose
// length tells the algorithm.
func imageHash(info *imageInfo) (hash.Hash, string, error) {
	algorithms := map[string]func() hash.Hash{
		"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
	}
	if make := algorithms[info.HashAlgo]; make != nil && info.HashValue != "" {
		return make(), info.HashValue, nil
	}
	for length, algorithm := range map[int]string{32: "md5", 64: "sha256", 128: "sha512"} {
		if len(info.Checksum) == length {
			return algorithms[algorithm](), info.Checksum, nil
		}
	}
	return nil, "", newAgentError("RESTError", http.StatusInternalServerError, "An error occurred", fmt.Sprintf(
		"Unable to verify image %s with available checksums. Please make sure the specified 'os_hash_algo' "+
			"(currently %s) is supported by this ramdisk, or provide a md5 checksum via the 'checksum' field",
		info.ID, info.HashAlgo))
}

func verify(info *imageInfo, location, want, got string) error {
	if strings.EqualFold(want, got) {
		return nil
	}
	return newAgentError("ImageChecksumError", http.StatusInternalServerError, "Error verifying image checksum", fmt.Sprintf(
		"Image failed to verify against checksum. location: %s; image ID: %s; image checksum: %s; verification checksum: %s",
		location, info.ID, want, got))
}

func imageDownloadError(id, text string) *agentError {
	return newAgentError("ImageDownloadError", http.StatusInternalServerError, "Error downloading image",
		fmt.Sprintf("Download of image %s failed: %s", id, text))
}
