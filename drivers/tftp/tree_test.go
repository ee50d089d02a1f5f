package tftp

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const nodeID = "8a4d0a1c-5f0e-4a0b-9b6e-0d0f6c5a1b2e"

const secret = "what nobody outside may read"

// newRoot makes a folder as ironic lays it out, beside a file that is none of it.
func newRoot(t testing.TB) string {
	t.Helper()
	top := t.TempDir()
	root := filepath.Join(top, "tftpboot")
	for name, content := range map[string]string{
		"tftpboot/" + nodeID + "/config": "the node's", "tftpboot/undionly.kpxe": "loader", "tftpboot/a..b": "dots", `tftpboot/back\slash`: "odd",
		"secret": secret, "tftpboot-old/file": secret,
	} {
		file := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "pxelinux.cfg"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"pxelinux.cfg/01-52-54-00-00-00-01": "../" + nodeID + "/config", "grub.cfg-01-52-54-00-00-00-01": nodeID + "/config",
		"52:54:00:00:00:01.conf": nodeID + "/config",
		"absolute":               filepath.Join(top, "secret"), "out": "../secret", "outside": "..", "loop": "loop", "dangling": "nothing",
		"within": filepath.Join(root, "undionly.kpxe"),
	} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestNamesLeadToFilesOfTheTreeOnly(t *testing.T) {
	root := newRoot(t)
	tree := NewTree(root + "/")
	for _, c := range []struct {
		asked, content, node string
		err                  error
	}{
		{asked: "undionly.kpxe", content: "loader"},
		{asked: "/undionly.kpxe", content: "loader"},
		{asked: "//.//undionly.kpxe", content: "loader"},
		{asked: root + "/undionly.kpxe", content: "loader"}, // GRUB's configuration of ironic asks so
		{asked: nodeID + "/config", content: "the node's", node: nodeID},
		{asked: "pxelinux.cfg/01-52-54-00-00-00-01", content: "the node's", node: nodeID},
		{asked: "grub.cfg-01-52-54-00-00-00-01", content: "the node's", node: nodeID},
		{asked: root + "/52:54:00:00:00:01.conf", content: "the node's", node: nodeID},
		{asked: "a..b", content: "dots"},
		{asked: `back\slash`, content: "odd"},

		{asked: "missing", err: ErrNotFound},
		{asked: "dangling", err: ErrNotFound},
		{asked: "undionly.kpxe/more", err: ErrNotFound},
		{asked: strings.Repeat("a", 300), err: ErrNotFound},
		{asked: "..\\secret", err: ErrNotFound},
		{asked: "../tftpboot-old/file", err: ErrRefused},
		{asked: root + "-old/file", err: ErrNotFound},
		{asked: filepath.Join(filepath.Dir(root), "secret"), err: ErrNotFound},
		{asked: "../secret", err: ErrRefused},
		{asked: "pxelinux.cfg/../undionly.kpxe", err: ErrRefused},
		{asked: "/../../../../etc/passwd", err: ErrRefused},
		{asked: root + "/../secret", err: ErrRefused},
		{asked: "/etc/passwd", err: ErrNotFound},
		{asked: "absolute", err: ErrRefused},
		{asked: "within", err: ErrRefused},
		{asked: "out", err: ErrRefused},
		{asked: "outside/secret", err: ErrRefused},
		{asked: "undionly.kpxe\x00.txt", err: ErrRefused},
		{asked: "", err: ErrRefused},
		{asked: "/", err: ErrRefused},
		{asked: ".", err: ErrRefused},
		{asked: "..", err: ErrRefused},
		{asked: nodeID, err: ErrRefused},
		{asked: "pipe", err: ErrRefused},
	} {
		t.Run(c.asked, func(t *testing.T) {
			file, err := tree.Open(c.asked)
			if err != nil {
				if c.err == nil || !errors.Is(err, c.err) {
					t.Fatalf("the error is %v, want %v", err, c.err)
				}
				return
			}
			defer file.Close()
			content, err := io.ReadAll(file)
			if err != nil {
				t.Fatal(err)
			}
			if c.err != nil || string(content) != c.content || file.Node != c.node || file.Size != int64(len(content)) {
				t.Errorf("got %q for node %q of %d bytes, want %q for %q, error %v", content, file.Node, file.Size, c.content, c.node, c.err)
			}
		})
	}
	if file, err := tree.Open("loop"); err == nil {
		file.Close()
		t.Error("a link to itself was opened")
	}
}

func TestAFolderThatIsNotThereHasNoFiles(t *testing.T) {
	if _, err := NewTree(filepath.Join(t.TempDir(), "later")).Open("file"); !errors.Is(err, ErrNotFound) {
		t.Errorf("the error is %v", err)
	}
}

func FuzzTree(f *testing.F) {
	root := newRoot(f)
	tree := NewTree(root)
	for _, name := range []string{"undionly.kpxe", "../secret", root + "/../secret", "out", "outside/secret", "absolute", "/..//./..",
		"pxelinux.cfg/01-52-54-00-00-00-01/..", nodeID + "/../../secret", "..\\secret", "a\x00b", "\xff\xfe", "pipe"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, asked string) {
		file, err := tree.Open(asked)
		if err != nil {
			return
		}
		defer file.Close()
		content, err := io.ReadAll(file)
		if err != nil || string(content) == secret {
			t.Errorf("%q gave %q (%v)", asked, content, err)
		}
	})
}
