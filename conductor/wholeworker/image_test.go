package wholeworker

import (
	"context"
	"crypto/sha1" //nolint:gosec // the checksum of firmware
	"crypto/sha256"
	"encoding/hex"
	"os"
	"testing"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

const mebibyte = 1 << 20

// diskImage is a whole-disk image with a partition table, raw and as qcow2.
type diskImage struct {
	raw, qcow2 string // paths
	size       int64  // of the raw file, in bytes
	sum, sha1  string // SHA-256 and SHA-1 of the raw file
	qcow2Sum   string
}

// makeImage builds an image of so many MiB, of which one does not compress. The seed tells images apart.
func makeImage(t *testing.T, dir string, size int, seed byte) diskImage {
	t.Helper()
	img, err := lab.MakeDiskImage(context.Background(), dir, size, seed)
	must(t, err)
	content, err := os.ReadFile(img.Raw)
	must(t, err)
	sum := sha1.Sum(content)
	return diskImage{img.Raw, img.QCOW2, img.Size, img.SHA256, hex.EncodeToString(sum[:]), img.QCOW2SHA256}
}

func sumOf(t *testing.T, file string) string {
	t.Helper()
	content, err := os.ReadFile(file)
	must(t, err)
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// tool runs a program to its end.
func tool(t *testing.T, input string, words ...string) {
	t.Helper()
	must(t, lab.RunTool(context.Background(), input, words...))
}
