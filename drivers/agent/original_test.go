package agent

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// TestConvertedImageCanBeDeployedAgain prepares a deployment twice, as after a failed first attempt: what the user said of
// the qcow2 still holds, although the node's row by then tells of the raw file that was made of it.
func TestConvertedImageCanBeDeployedAgain(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "disk.qcow2")
	if out, err := exec.Command("qemu-img", "create", "-q", "-f", "qcow2", source, "4M").CombinedOutput(); err != nil {
		t.Fatalf("qemu-img: %v: %s", err, out)
	}
	content, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	n := deployNode()
	n.InstanceInfo = store.Dict{"image_source": "file://" + source, "image_disk_format": "qcow2",
		"image_os_hash_algo": "sha256", "image_os_hash_value": hex.EncodeToString(sum[:])}
	g := newRig(t, quick(), n)
	g.deploy.serve = NewDepot(openDepot(t, dir))
	for attempt := 1; attempt <= 2; attempt++ {
		if err := g.deploy.Prepare(t.Context(), g.task); err != nil {
			t.Fatalf("attempt %d: %v", attempt, err)
		}
		info := g.task.Node.InstanceInfo
		if got := info.String("image_disk_format"); got != "raw" {
			t.Errorf("attempt %d: the agent is promised %q", attempt, got)
		}
		if info.String("image_os_hash_value") == hex.EncodeToString(sum[:]) {
			t.Errorf("attempt %d: the agent is given the digest of the qcow2", attempt)
		}
	}
}
