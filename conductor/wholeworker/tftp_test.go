package wholeworker

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// TestBootFiles asks the worker for boot files with the programs that people have: tftp-hpa's client and curl.
func TestBootFiles(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	const node = "8a4d0a1c-5f0e-4a0b-9b6e-0d0f6c5a1b2e"
	must(t, os.MkdirAll(filepath.Join(root, node), 0o755))
	must(t, os.MkdirAll(filepath.Join(root, "pxelinux.cfg"), 0o755))
	must(t, os.WriteFile(filepath.Join(root, node, "config"), []byte(strings.Repeat("kernel\n", 1000)), 0o644))
	must(t, os.WriteFile(outside, []byte("root:x:0:0"), 0o644))
	must(t, os.Symlink("../"+node+"/config", filepath.Join(root, "pxelinux.cfg", "01-52-54-00-00-00-01")))
	must(t, os.Symlink(outside, filepath.Join(root, "way-out")))
	var listen string
	start(t, setup{database: "sqlite", transport: "json-rpc", own: func(w *world) options {
		ports, err := w.lab.ReservePorts(1)
		must(t, err)
		listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[0]))
		return options{
			"pxe":        {"tftp_root": root},
			"ironmaster": {"tftp_listen": listen},
		}
	}})
	eventually(t, "the TFTP server answers", func() error { return lab.AnswersTFTP(t.Context(), listen) })
	clients := bootClients(t, listen)

	for _, name := range []string{node + "/config", "/pxelinux.cfg/01-52-54-00-00-00-01", root + "/" + node + "/config"} {
		for _, c := range clients {
			got, text, err := c.get(name)
			if err != nil || got != strings.Repeat("kernel\n", 1000) {
				t.Errorf("%s of %s: %d bytes, %v, %s", c.name, name, len(got), err, text)
			}
		}
	}
	for _, name := range []string{"missing", "../" + filepath.Base(filepath.Dir(outside)) + "/secret", "/../../../../../etc/passwd", "way-out",
		outside, `..\..\etc\passwd`, "pxelinux.cfg", node + "/../../../../../etc/passwd"} {
		for _, c := range clients {
			if got, _, err := c.get(name); err == nil || strings.Contains(got, "root:x") {
				t.Errorf("%s of %s gave %q, %v", c.name, name, got, err)
			}
		}
	}
	put := filepath.Join(t.TempDir(), "upload")
	must(t, os.WriteFile(put, []byte("mine"), 0o644))
	if out, err := exec.CommandContext(t.Context(), "curl", "-sS", "--max-time", "20", "-T", put, "tftp://"+listen+"/upload").CombinedOutput(); err == nil {
		t.Errorf("curl could write: %s", out)
	}
	if _, err := os.Stat(filepath.Join(root, "upload")); err == nil {
		t.Error("a file was written")
	}
	for _, c := range clients {
		if got, text, err := c.get(node + "/config"); err != nil || len(got) != 7000 {
			t.Errorf("%s after all that: %d bytes, %v, %s", c.name, len(got), err, text)
		}
	}
}

// bootClient reads a file and returns it with what the program said.
type bootClient struct {
	name string
	get  func(file string) (content, text string, err error)
}

// bootClients are the programs, each with the options that it has.
func bootClients(t *testing.T, tftp string) []bootClient {
	host, port, err := net.SplitHostPort(tftp)
	must(t, err)
	into := filepath.Join(t.TempDir(), "got")
	run := func(program string, args ...string) (string, string, error) {
		if err := os.RemoveAll(into); err != nil {
			return "", "", err
		}
		out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
		if err == nil && strings.Contains(string(out), "Error code") {
			// tftp-hpa ends well whatever it was told.
			err = fmt.Errorf("told an error")
		}
		got, readErr := os.ReadFile(into)
		if err == nil {
			err = readErr
		}
		return string(got), string(out), err
	}
	curl := func(args ...string) (string, string, error) {
		return run("curl", append([]string{"-sSf", "--path-as-is", "--max-time", "20", "-o", into}, args...)...)
	}
	escape := strings.NewReplacer(`\`, "%5C").Replace
	return []bootClient{
		{"tftp-hpa", func(name string) (string, string, error) {
			return run("tftp", "-4", "-m", "binary", host, port, "-c", "get", name, into)
		}},
		{"curl tftp", func(name string) (string, string, error) { return curl("tftp://" + tftp + "/" + escape(name)) }},
		{"curl tftp with blksize", func(name string) (string, string, error) {
			return curl("--tftp-blksize", "1428", "tftp://"+tftp+"/"+escape(name))
		}},
		{"curl tftp without options", func(name string) (string, string, error) {
			return curl("--tftp-no-options", "tftp://"+tftp+"/"+escape(name))
		}},
	}
}
