package room

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// testImage is a disk image with an MBR, the disk identifier 0x78563412, some data and a long run of zeroes.
func testImage(size int) []byte {
	image := make([]byte, size)
	copy(image, bootCode)
	copy(image[440:], "\x12\x34\x56\x78")
	copy(image[510:], "\x55\xaa")
	for i := range image[:1000] {
		image[1<<20+i] = byte(i)
		image[len(image)-1-i] = byte(i) | 1
	}
	return image
}

func sha256Hex(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

func gzipped(t *testing.T, content []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

func toQcow2(t *testing.T, image []byte, options ...string) []byte {
	t.Helper()
	raw, packed := filepath.Join(t.TempDir(), "image.raw"), filepath.Join(t.TempDir(), "image.qcow2")
	if err := os.WriteFile(raw, image, 0o600); err != nil {
		t.Fatal(err)
	}
	arguments := append([]string{"convert", "-f", "raw", "-O", "qcow2"}, options...)
	if out, err := exec.CommandContext(t.Context(), "qemu-img", append(arguments, raw, packed)...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(packed)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// fill writes an MBR without partitions, and data all over a machine's disk.
func fill(t *testing.T, m *Machine) {
	t.Helper()
	content := bytes.Repeat([]byte("old data "), int(m.disk.size)/9+1)[:m.disk.size]
	copy(content[446:], make([]byte, 64))
	copy(content[510:], "\x55\xaa")
	if err := os.WriteFile(m.disk.path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func backed(t *testing.T) []byte {
	t.Helper()
	base, top := filepath.Join(t.TempDir(), "base"), filepath.Join(t.TempDir(), "top")
	if err := os.WriteFile(base, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "qemu-img", "create", "-f", "qcow2", "-b", base, "-F", "raw", top).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	content, err := os.ReadFile(top)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestWriteImageFailures(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	good := testImage(2 << 20)
	tooBig := testImage(int(m.disk.size) + 512)
	ironic.serve("good", good)
	ironic.serve("big", tooBig)
	ironic.serve("text", []byte("not qcow2"))
	big := toQcow2(t, tooBig)
	ironic.serve("big.qcow2", big)
	chain := backed(t)
	ironic.serve("backed.qcow2", chain)
	var asked atomic.Int64
	ironic.files["403"] = func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "no entry", http.StatusForbidden)
	}
	ironic.files["500"] = func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		http.Error(w, "out of order", http.StatusInternalServerError)
	}
	ironic.files["cut"] = func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Length", fmt.Sprint(len(good)))
		if _, err := w.Write(good[:len(good)/2]); err != nil {
			t.Error(err)
		}
	}
	bootAgent(t, m, ironic.bootISO())
	agent := ironic.agent()
	for _, test := range []struct {
		name, file, format, sum, kind string
		asked                         int64
		want                          string
	}{
		{name: "wrong checksum", file: "good", format: "raw", sum: sha256Hex([]byte("other")),
			want: "Error verifying image checksum: Image failed to verify against checksum. location: /dev/vda; image ID: image; image checksum: "},
		{name: "wrong checksum of qcow2", file: "text", format: "qcow2", sum: sha256Hex([]byte("other")),
			want: "Error verifying image checksum: Image failed to verify against checksum. location: /tmp/image; image ID: image; image checksum: "},
		{name: "no checksum", file: "good", format: "raw", want: "Unable to verify image image with available checksums"},
		{name: "forbidden", file: "403", format: "raw", sum: sha256Hex(good), asked: 1,
			want: "Error downloading image: Download of image image failed: URL: " + ironic.URL + "/files/403. Error: Received status code 403"},
		{name: "server error", file: "500", format: "raw", sum: sha256Hex(good), asked: 3, want: "Received status code 500"},
		{name: "truncated", file: "cut", format: "raw", sum: sha256Hex(good), asked: 3, want: "unexpected EOF"},
		{name: "truncated qcow2", file: "cut", format: "qcow2", sum: sha256Hex(good), asked: 3, want: "unexpected EOF"},
		{name: "larger than the disk", file: "big", format: "raw", sum: sha256Hex(tooBig),
			want: "Unable to write image to device /dev/vda. Error: no space left on device"},
		{name: "qcow2 larger than the disk", file: "big.qcow2", format: "qcow2", sum: sha256Hex(big), want: "No space left on device"},
		{name: "not qcow2", file: "text", format: "qcow2", sum: sha256Hex([]byte("not qcow2")), want: "is not a qcow2 image"},
		{name: "backing file", file: "backed.qcow2", format: "qcow2", sum: sha256Hex(chain), want: "refers to another file"},
		{name: "other format", file: "good", format: "vmdk", sum: sha256Hex(good), want: "Image format vmdk is not one of raw, qcow2"},
		{name: "partition image without a root", file: "good", format: "raw", kind: "partition", sum: sha256Hex(good),
			want: "root_mb"},
	} {
		asked.Store(0)
		started, status := agent.command(false, "deploy.execute_deploy_step", deployStep(map[string]any{"image_info": map[string]any{
			"id": "image", "urls": []string{ironic.URL + "/files/" + test.file}, "disk_format": test.format,
			"os_hash_algo": "sha256", "os_hash_value": test.sum, "image_type": test.kind}}))
		if status != http.StatusOK {
			t.Fatalf("%s: %d %+v", test.name, status, started)
		}
		ended := agent.finished(started.ID)
		if ended.Status != commandFailedNow || ended.Error.Type != "DeploymentError" || ended.Error.Message != "Deploy step failed" ||
			!strings.HasPrefix(ended.Error.Details, "Error performing deploy step write_image: ") ||
			!strings.Contains(ended.Error.Details, test.want) {
			t.Errorf("%s: %s %+v", test.name, ended.Status, ended.Error)
		}
		if test.asked != 0 && asked.Load() != test.asked {
			t.Errorf("%s: asked %d times, want %d", test.name, asked.Load(), test.asked)
		}
	}
	if got := m.Snapshot().Writes; got != 0 {
		t.Errorf("%d writes count as done", got)
	}
}

func TestBrokenDownloadIsBegunAgain(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	image := testImage(2 << 20)
	var asked atomic.Int64
	ironic.files["image"] = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(image)))
		content := image
		if asked.Add(1) == 1 {
			content = bytes.Repeat([]byte("x"), len(image)/2)
		}
		if _, err := w.Write(content); err != nil {
			t.Error(err)
		}
	}
	bootAgent(t, m, ironic.bootISO())
	sum := md5.Sum(image)
	ended, _ := ironic.agent().command(true, "deploy.execute_deploy_step", deployStep(map[string]any{"image_info": map[string]any{
		"id": "image", "urls": []string{ironic.URL + "/files/image"}, "disk_format": "raw", "checksum": hex.EncodeToString(sum[:])}}))
	if ended.Status != commandSucceeded {
		t.Fatalf("write_image: %+v", ended.Error)
	}
	if got, err := m.DiskSHA256(int64(len(image))); err != nil || got != sha256Hex(image) {
		t.Errorf("the disk is not the image: %v", err)
	}
}

// Every byte of the image counts, zeroes too, and nothing behind the image does.
func TestImageReplacesWhatWasThere(t *testing.T) {
	image := testImage(3<<20 + 512)
	for _, format := range []string{"raw", "qcow2"} {
		m := openRoom(t, Config{}).Machines()[0]
		ironic := newFakeIronic(t, m)
		fill(t, m)
		content := image
		if format == "qcow2" {
			content = toQcow2(t, image, "-c")
		}
		url := ironic.serve("image", content)
		bootAgent(t, m, ironic.bootISO())
		ended, _ := ironic.agent().command(true, "deploy.execute_deploy_step", deployStep(map[string]any{"image_info": map[string]any{
			"id": "image", "urls": []string{url}, "disk_format": format, "os_hash_algo": "sha256", "os_hash_value": sha256Hex(content)}}))
		if ended.Status != commandSucceeded {
			t.Fatalf("%s: %+v", format, ended.Error)
		}
		disk, err := os.ReadFile(m.Info().Disk)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(disk[:len(image)], image) {
			t.Errorf("%s: the disk does not begin with the image", format)
		}
		if !bytes.Contains(disk[len(image):len(image)+1024], []byte("old data")) {
			t.Errorf("%s: the disk behind the image was changed", format)
		}
		var info syscall.Stat_t
		if err := syscall.Stat(m.Info().Disk, &info); err != nil {
			t.Fatal(err)
		}
		if saved := m.disk.size - info.Blocks*512; saved < 1<<20 {
			t.Errorf("%s: only %d bytes of the image's zeroes became holes", format, saved)
		}
	}
}

func TestSparseWriter(t *testing.T) {
	d := disk{path: filepath.Join(t.TempDir(), "disk"), size: minDiskSize}
	if err := d.create(); err != nil {
		t.Fatal(err)
	}
	err := d.change(func(f *os.File) error {
		w := &sparseWriter{file: f, end: d.size}
		if _, err := w.Write(make([]byte, d.size)); err != nil {
			return err
		}
		if _, err := w.Write([]byte{1}); err != unix.ENOSPC {
			t.Errorf("writing past the end: %v", err)
		}
		return w.flush()
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConfigDrives(t *testing.T) {
	m := openRoom(t, Config{}).Machines()[0]
	ironic := newFakeIronic(t, m)
	a := &agent{m: m, client: m.room.verified}
	for name, test := range map[string]struct{ drive, want, err string }{
		"not base64":  {drive: "***", err: "Error decoding configdrive"},
		"not gzip":    {drive: "aGVsbG8gd29ybGQ=", err: "Error decoding configdrive"},
		"unreachable": {drive: ironic.URL + "/nothing", err: "Can't download the configdrive content"},
	} {
		if _, err := a.configDrive(t.Context(), &test.drive); err == nil || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
