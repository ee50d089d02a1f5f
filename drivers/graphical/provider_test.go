package graphical_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/drivers/graphical"
	"github.com/ironmaster/ironmaster/store"
)

// stage is a folder of programs in place of those that providers run. Each writes down what it was asked, with what stands in
// APP_INFO and on its input.
type stage struct {
	dir string
	cfg graphical.ContainerConfig
}

// newStage puts programs in front of all others; each acts as its script says.
func newStage(t *testing.T, provider string, programs map[string]string) *stage {
	t.Helper()
	s := &stage{dir: t.TempDir()}
	for name, script := range programs {
		text := fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >> %s/asked\n"+
			"[ -z \"$APP_INFO\" ] || printf '%%s' \"$APP_INFO\" >> %s/info\n%s\n", name, s.dir, s.dir, script)
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", s.dir+":"+os.Getenv("PATH"))
	s.cfg = graphical.ContainerConfig{Provider: provider, Image: "registry.example/console:1", Host: "worker-1", Address: "127.0.0.1",
		ReadyTimeout: 20 * time.Second, SystemdPort: "127.0.0.1::5900", CommandPort: "127.0.0.1::5900", PodTimeout: 20 * time.Second,
		Executable: "docker", UnitDir: filepath.Join(s.dir, "units")}
	return s
}

func (s *stage) open(t *testing.T) graphical.Containers {
	t.Helper()
	c, err := graphical.OpenContainers(t.Context(), s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.asked(t)
	return c
}

// asked returns what programs were asked since it was last looked at.
func (s *stage) asked(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(s.dir, "asked")
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	_ = os.Remove(path)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func (s *stage) read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// vncServer greets whoever connects.
func vncServer(t *testing.T) (port int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			user, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(user, "RFB 003.008\n")
			user.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).Port
}

func expect(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: asked\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// nasty is a password with everything in it that a template could stumble over.
const nasty = `it's "100%" $HOME \ ` + "`id`"

func TestEngine(t *testing.T) {
	port := vncServer(t)
	s := newStage(t, "container", map[string]string{"docker": `
case "$1" in
port) echo "5900/tcp -> [::]:1"; echo "0.0.0.0:` + strconv.Itoa(port) + `";;
ps) printf 'c1\nc2\n';;
esac`})
	c := s.open(t)
	host, got, err := c.Start(t.Context(), node, "redfish-graphical", store.Dict{"password": nasty})
	if err != nil || host != "127.0.0.1" || got != port {
		t.Fatalf("the console is at %s:%d (%v), want 127.0.0.1:%d", host, got, err, port)
	}
	expect(t, "start", s.asked(t), []string{
		"docker rm --force ironic-console-" + node,
		"docker run --detach --rm --pull missing --name ironic-console-" + node + " --label org.openstack.ironic.console=true " +
			"--label org.openstack.ironic.conductor=worker-1 --label org.openstack.ironic.node=" + node +
			" --publish 127.0.0.1::5900 --env APP=redfish-graphical --env APP_INFO --env READ_ONLY=False registry.example/console:1",
		"docker port ironic-console-" + node + " 5900/tcp",
	})
	info, err := store.ParseDict([]byte(s.read(t, "info")))
	if err != nil || info["password"] != nasty {
		t.Errorf("the app is told %v (%v)", info, err)
	}
	if err := c.Stop(t.Context(), node); err != nil {
		t.Error(err)
	}
	expect(t, "stop", s.asked(t), []string{"docker rm --force ironic-console-" + node})
	if err := c.StopAll(t.Context()); err != nil {
		t.Error(err)
	}
	expect(t, "stop all", s.asked(t), []string{
		"docker ps --all --quiet --filter label=org.openstack.ironic.conductor=worker-1", "docker rm --force c1", "docker rm --force c2",
	})
}

func TestEngineFailures(t *testing.T) {
	for name, c := range map[string]struct{ script, want string }{
		"does not run": {`[ "$1" != run ] || { echo no such image >&2; exit 125; }`,
			"Exit code: 125\nStdout: ''\nStderr: 'no such image\\n'"},
		"publishes nothing": {``, "Could not detect a published VNC port in the output: "},
		"publishes no port": {`[ "$1" != port ] || echo 127.0.0.1:70000`, "Could not detect a published VNC port in the output: 127.0.0.1:70000"},
		"says nothing":      {`[ "$1" != port ] || echo 127.0.0.1:1`, "RFB data not returned by 127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, "container", map[string]string{"docker": c.script})
			s.cfg.ReadyTimeout = time.Millisecond
			_, _, err := s.open(t).Start(t.Context(), node, "fake", store.Dict{"password": "hush"})
			if store.KindOf(err) != store.ConsoleContainerError || !strings.Contains(err.Error(), c.want) ||
				!strings.HasPrefix(err.Error(), "Console container error with provider 'container', reason: ") {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if strings.Contains(fmt.Sprint(err), "hush") {
				t.Error("the password is in the error")
			}
			if asked := s.asked(t); asked[len(asked)-1] != "docker rm --force ironic-console-"+node {
				t.Errorf("at last docker was asked %q", asked[len(asked)-1])
			}
		})
	}
}

func TestSystemd(t *testing.T) {
	port := vncServer(t)
	s := newStage(t, "systemd", map[string]string{"systemctl": "", "podman": `
[ "$1" != port ] || echo "5900/tcp -> 127.0.0.1:` + strconv.Itoa(port) + `"`})
	c := s.open(t)
	host, got, err := c.Start(t.Context(), node, "fake", store.Dict{"password": nasty})
	if err != nil || host != "127.0.0.1" || got != port {
		t.Fatalf("the console is at %s:%d (%v), want 127.0.0.1:%d", host, got, err, port)
	}
	unit := "ironic-console-" + node
	expect(t, "start", s.asked(t), []string{"systemctl --user daemon-reload", "systemctl --user restart " + unit + ".service",
		"podman port systemd-" + unit})
	file := filepath.Join("units", unit+".container")
	text := s.read(t, file)
	for _, want := range []string{"Image=registry.example/console:1\n", "PublishPort=127.0.0.1::5900\n", "Environment=APP=fake\n",
		"Environment=READ_ONLY=False\n", "Description=A VNC server which displays a console for node " + node + "\n",
		`Environment=APP_INFO='{"password":"it\\u0027s \\"100\\u0025\\" \\u0024HOME \\\\ \\u0060id\\u0060"}'` + "\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("the unit lacks %q:\n%s", want, text)
		}
	}
	if info, err := os.Stat(filepath.Join(s.dir, file)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the unit is %v (%v)", info, err)
	}
	if err := c.Stop(t.Context(), node); err != nil {
		t.Error(err)
	}
	expect(t, "stop", s.asked(t), []string{"systemctl --user stop " + unit + ".service", "systemctl --user daemon-reload"})
	for _, name := range []string{"ironic-console-a.container", "ironic-console-b.container", "somebody-elses.container"} {
		if err := os.WriteFile(filepath.Join(s.dir, "units", name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.StopAll(t.Context()); err != nil {
		t.Error(err)
	}
	expect(t, "stop all", s.asked(t), []string{"systemctl --user stop ironic-console-a.service",
		"systemctl --user stop ironic-console-b.service", "systemctl --user daemon-reload"})
	left, err := os.ReadDir(filepath.Join(s.dir, "units"))
	if err != nil || len(left) != 1 || left[0].Name() != "somebody-elses.container" {
		t.Errorf("left are %v (%v)", left, err)
	}
}

// A unit that does not start is not left behind, with the password in it, nor is what it may run.
func TestSystemdFailures(t *testing.T) {
	for name, c := range map[string]struct{ systemctl, podman, want string }{
		"unit":  {`case "$2" in restart) exit 1;; esac`, "", "Command: systemctl --user restart ironic-console-" + node + ".service"},
		"ports": {"", `[ "$1" != port ] || echo none`, "Could not detect port in the output: none"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, "systemd", map[string]string{"systemctl": c.systemctl, "podman": c.podman})
			_, _, err := s.open(t).Start(t.Context(), node, "fake", store.Dict{})
			if store.KindOf(err) != store.ConsoleContainerError || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if left, err := os.ReadDir(s.cfg.UnitDir); err != nil || len(left) != 0 {
				t.Errorf("left are %v (%v)", left, err)
			}
			asked := s.asked(t)
			expect(t, "at last", asked[len(asked)-2:],
				[]string{"systemctl --user stop ironic-console-" + node + ".service", "systemctl --user daemon-reload"})
		})
	}
}

func TestKubernetes(t *testing.T) {
	s := newStage(t, "kubernetes", map[string]string{"kubectl": `
case "$*" in
apply*) cat > ` + "\"$(dirname \"$0\")/manifest\"" + `;;
*podIP*) echo 10.1.2.3;;
get*) echo '{"status": {"conditions": [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": "True"}]}}';;
esac`})
	c := s.open(t)
	host, port, err := c.Start(t.Context(), node, "redfish-graphical", store.Dict{"password": nasty})
	if err != nil || host != "10.1.2.3" || port != 5900 {
		t.Fatalf("the console is at %s:%d (%v)", host, port, err)
	}
	name := "ironic-console-" + node
	expect(t, "start", s.asked(t), []string{"kubectl delete -n openstack Pod --ignore-not-found=true " + name,
		"kubectl delete -n openstack Secret --ignore-not-found=true " + name, "kubectl apply -f -", "kubectl get pod " + name + " -n openstack -o json",
		"kubectl get pod " + name + " -n openstack -o jsonpath={.status.podIP}"})
	if text := s.read(t, "manifest"); !strings.Contains(text, `app-info: '{"password":"it\u0027s \"100\u0025\"`) {
		t.Errorf("the manifest is\n%s", text)
	}
	if err := c.Stop(t.Context(), node); err != nil {
		t.Error(err)
	}
	expect(t, "stop", s.asked(t), []string{"kubectl delete -n openstack Pod --ignore-not-found=true " + name,
		"kubectl delete -n openstack Secret --ignore-not-found=true " + name})
	if err := c.StopAll(t.Context()); err != nil {
		t.Error(err)
	}
	labels := " --ignore-not-found=true -l app=ironic,component=ironic-console,conductor=worker-1"
	expect(t, "stop all", s.asked(t), []string{"kubectl delete -n openstack Pod" + labels, "kubectl delete -n openstack Secret" + labels})
}

func TestKubernetesFailures(t *testing.T) {
	name := "ironic-console-" + node
	for what, c := range map[string]struct{ script, want string }{
		"not ready": {`[ "$1" != get ] || echo '{"status": {}}'`, "Pod " + name + " did not become ready in 0s"},
		"refused":   {`[ "$1" != apply ] || { cat >/dev/null; echo quota >&2; exit 1; }`, "Command: kubectl apply -f -\nExit code: 1"},
	} {
		t.Run(what, func(t *testing.T) {
			s := newStage(t, "kubernetes", map[string]string{"kubectl": c.script})
			s.cfg.PodTimeout = time.Millisecond
			_, _, err := s.open(t).Start(t.Context(), node, "fake", store.Dict{})
			if store.KindOf(err) != store.ConsoleContainerError || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			asked := s.asked(t)
			expect(t, "at last", asked[len(asked)-2:], []string{"kubectl delete -n openstack Pod --ignore-not-found=true " + name,
				"kubectl delete -n openstack Secret --ignore-not-found=true " + name})
		})
	}
}

// A provider that can't work says so when it is opened.
func TestOpeningRefuses(t *testing.T) {
	templates := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(templates, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name, provider string
		programs       map[string]string
		change         func(*graphical.ContainerConfig)
		want           string
	}{
		{"unknown", "lxd", nil, nil, "No 'ironic.console.container' driver found, looking for 'lxd'"},
		{"no engine", "container", nil, func(c *graphical.ContainerConfig) { c.Executable = "no-such-engine" }, "running no-such-engine: "},
		{"engine away", "container", map[string]string{"docker": "exit 3"}, nil, "Exit code: 3"},
		{"no image", "container", map[string]string{"docker": ""}, func(c *graphical.ContainerConfig) { c.Image = "" },
			"[vnc]console_image must be set."},
		{"open quote", "container", map[string]string{"docker": ""},
			func(c *graphical.ContainerConfig) { c.CommandTemplate = write("command", "run '{{ image }}") }, "failed: "},
		{"no such template", "systemd", map[string]string{"systemctl": "", "podman": ""},
			func(c *graphical.ContainerConfig) { c.SystemdTemplate = "/no/such/template" }, "[vnc]systemd_container_template: "},
		{"no podman", "systemd", map[string]string{"systemctl": "", "podman": "exit 1"}, nil, "Command: podman --version"},
		{"no image for pods", "kubernetes", map[string]string{"kubectl": ""}, func(c *graphical.ContainerConfig) { c.Image = "" },
			"[vnc]console_image must be set."},
		{"no namespace", "kubernetes", map[string]string{"kubectl": ""},
			func(c *graphical.ContainerConfig) {
				c.KubernetesTemplate = write("pod", "kind: Pod\nmetadata: {name: a, labels: {b: c}}\n")
			}, "the manifest's part 1 lacks"},
		{"no pod", "kubernetes", map[string]string{"kubectl": ""},
			func(c *graphical.ContainerConfig) {
				c.KubernetesTemplate = write("job", "kind: Job\nmetadata: {name: a, namespace: d, labels: {b: c}}\n")
			}, "the manifest has no Pod"},
		{"no YAML", "kubernetes", map[string]string{"kubectl": ""},
			func(c *graphical.ContainerConfig) { c.KubernetesTemplate = write("text", "kind: [") }, "reading the manifest: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newStage(t, c.provider, c.programs)
			if c.change != nil {
				c.change(&s.cfg)
			}
			_, err := graphical.OpenContainers(t.Context(), s.cfg)
			if store.KindOf(err) != store.ConsoleContainerError || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
