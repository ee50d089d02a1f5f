package tgt

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// freePort is one that nobody listens on now.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestExport(t *testing.T) {
	dir, portal := t.TempDir(), freePort(t)
	file := filepath.Join(dir, "disk")
	if err := os.WriteFile(file, make([]byte, 4<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Start(t.Context(), filepath.Join(dir, strings.Repeat("long", 20)), portal)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	const name = "iqn.2008-10.org.openstack:one"
	look := func() (string, error) {
		out, err := exec.Command("qemu-img", "info", "--image-opts", "driver=iscsi,transport=tcp,portal="+portal+",target="+name+
			",lun=1").CombinedOutput()
		return string(out), err
	}
	for range 2 {
		if err := d.Export(t.Context(), name, file); err != nil {
			t.Fatal(err)
		}
		if out, err := look(); err != nil || !strings.Contains(out, "4194304 bytes") {
			t.Fatalf("qemu-img finds %s, %v", out, err)
		}
		if err := d.Withdraw(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if out, err := look(); err == nil {
			t.Fatalf("the target is still there: %s", out)
		}
	}
	if _, err := Start(t.Context(), filepath.Join(dir, "second"), portal); err == nil || !strings.Contains(err.Error(), "cannot listen") {
		t.Errorf("a second daemon at the same address: %v", err)
	}
}
