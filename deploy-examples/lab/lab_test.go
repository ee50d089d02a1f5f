package lab

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestWholeSetStartsAndLeavesNothingBehind(t *testing.T) {
	l, err := Start(t.Context(), Options{Glance: true})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()

	var root struct {
		DefaultVersion struct {
			ID string `json:"id"`
		} `json:"default_version"`
	}
	getJSON(t, l.IronicURL+"/", http.StatusOK, &root)
	if root.DefaultVersion.ID != "v1" {
		t.Errorf("ironic-api's default version is %q, want v1", root.DefaultVersion.ID)
	}
	var glance struct {
		Versions []struct{ ID string } `json:"versions"`
	}
	getJSON(t, l.GlanceURL+"/", http.StatusMultipleChoices, &glance)
	if len(glance.Versions) == 0 {
		t.Error("Glance names no version of its API")
	}
	getJSON(t, l.GlanceURL+"/v2/images", http.StatusOK, new(any))
	// The API reads this list from the database.
	getJSON(t, l.IronicURL+"/v1/nodes", http.StatusOK, new(any))

	if left := processesOf(l.Dir); len(left) < 4 {
		t.Errorf("only %d processes carry the lab's mark, so their absence later would prove nothing: %q", len(left), left)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	expectNoProcess(t, l.Dir)
	if _, err := os.Stat(l.Dir); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is still there: %v", err)
	}
}

func TestDebiansConductorRunsOnTheConfiguration(t *testing.T) {
	l := ForTest(t, Options{Database: "mariadb", Conductor: "python"})
	var list struct {
		Drivers []struct {
			Name  string   `json:"name"`
			Hosts []string `json:"hosts"`
		} `json:"drivers"`
	}
	getJSON(t, l.IronicURL+"/v1/drivers", http.StatusOK, &list)
	served := map[string][]string{}
	for _, driver := range list.Drivers {
		served[driver.Name] = driver.Hosts
	}
	for _, name := range []string{"fake-hardware", "manual-management", "redfish"} {
		if !slices.Contains(served[name], l.Host) {
			t.Errorf("hardware type %s is served by %q, want %s among them", name, served[name], l.Host)
		}
	}
}

func TestServicesEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := New(ctx, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	broker, err := l.StartRabbitMQ()
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := broker.Wait(); err == nil {
		t.Error("the broker ended in order, want it killed")
	}
	expectNoProcess(t, l.Dir)
}

func TestBrokerKeepsDurableQueuesOverRestart(t *testing.T) {
	l := NewForTest(t, Options{})
	broker, err := l.StartRabbitMQ()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := broker.Ctl(t.Context(), "add_vhost", "kept"); err != nil {
		t.Fatal(err)
	}
	if err := broker.Stop(); err != nil {
		t.Fatal(err)
	}
	if pid := broker.PID(); pid != 0 {
		t.Errorf("the stopped broker has process id %d", pid)
	}
	if err := broker.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	hosts, err := broker.Ctl(t.Context(), "list_vhosts")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(hosts, "kept") {
		t.Errorf("after a restart the broker has the virtual hosts %q, want one named kept", hosts)
	}
}

func TestDatabasesHoldTheSchemaForBothAccounts(t *testing.T) {
	drivers := map[string]struct{ driver, dialect, scheme string }{
		"mariadb":    {"mysql", "mysql+pymysql://", ""},
		"postgresql": {"pgx", "postgresql+psycopg2://", "postgres://"},
	}
	for kind, d := range drivers {
		t.Run(kind, func(t *testing.T) {
			l := NewForTest(t, Options{})
			database, err := l.StartDatabase(kind)
			if err != nil {
				t.Fatal(err)
			}
			for _, url := range []string{database.URL, database.ConductorURL} {
				rest, ok := strings.CutPrefix(url, d.dialect)
				if !ok {
					t.Fatalf("the URL %s does not begin with %s", url, d.dialect)
				}
				if d.driver == "mysql" {
					account, place, _ := strings.Cut(rest, "@")
					address, name, _ := strings.Cut(place, "/")
					rest = account + "@tcp(" + address + ")/" + name
				}
				db, err := sql.Open(d.driver, d.scheme+rest)
				if err != nil {
					t.Fatal(err)
				}
				defer db.Close()
				if _, err := db.Exec("INSERT INTO conductors (hostname, drivers, online) VALUES ('" + url[:40] + url[len(url)-20:] + "', '[]', " + truth(kind) + ")"); err != nil {
					t.Errorf("writing as %s: %v", url, err)
				}
			}
		})
	}
}

func truth(kind string) string {
	if kind == "postgresql" {
		return "true"
	}
	return "1"
}

func TestFailureShowsTheServicesLog(t *testing.T) {
	_, err := StartService(t.Context(), t.TempDir(), Command{
		Name: "broken", Path: "/bin/sh", Args: []string{"-c", "echo no such moon >&2; exit 3"},
		Ready: listens(1),
	})
	if err == nil || !strings.Contains(err.Error(), "no such moon") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want an error with the exit status and what the program printed", err)
	}
}

func TestMissingPackageNamesItsRemedy(t *testing.T) {
	err := need("glance", "/nowhere/glance-api")
	if err == nil || !strings.Contains(err.Error(), "make packages") || !strings.Contains(err.Error(), "install-packages glance") {
		t.Errorf("got %v, want an error that names the command to run", err)
	}
}

func TestChildrenOfAServiceEndWithIt(t *testing.T) {
	dir := t.TempDir()
	service, err := StartService(t.Context(), dir, Command{
		Name: "family", Path: "/bin/sh", Args: []string{"-c", "trap '' TERM; sleep 600 & touch ready; wait; sleep 600"},
		Ready: func(context.Context) error { _, err := os.Stat(filepath.Join(dir, "ready")); return err },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Kill(); err != nil {
		t.Fatal(err)
	}
	expectNoProcess(t, dir)
}

func TestDetachedServicesOutliveTheirContextUntilTheyAreEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := New(ctx, Options{Dir: t.TempDir(), Detached: true})
	if err != nil {
		t.Fatal(err)
	}
	service, err := l.StartService(Command{Name: "sleeper", Path: "/bin/sleep", Args: []string{"600"}})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if service.PID() == 0 {
		t.Fatal("the service ended with its context")
	}
	// A process id that was given to another process since then must be left alone.
	stranger := filepath.Join(l.Dir, "stranger.pid")
	if err := os.WriteFile(stranger, []byte(strconv.Itoa(os.Getppid())), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := End(l.Dir); err != nil {
		t.Error(err)
	}
	expectNoProcess(t, l.Dir)
}

func getJSON(t *testing.T, url string, status int, into any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != status {
		t.Fatalf("GET %s: %s, want %d", url, response.Status, status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
}

func expectNoProcess(t *testing.T, dir string) {
	t.Helper()
	// A killed process may take a moment to vanish after its group's leader did.
	deadline := time.Now().Add(10 * time.Second)
	for {
		left := processesOf(dir)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("still running: %q", left)
			return
		}
		time.Sleep(pollInterval)
	}
}

// processesOf lists the processes that belong to a lab's folder, by their environment, command line or working folder.
func processesOf(dir string) []string {
	entries, _ := filepath.Glob("/proc/[0-9]*")
	var found []string
	for _, entry := range entries {
		environment, _ := os.ReadFile(filepath.Join(entry, "environ"))
		line, _ := os.ReadFile(filepath.Join(entry, "cmdline"))
		folder, _ := os.Readlink(filepath.Join(entry, "cwd"))
		if bytes.Contains(environment, []byte(dir)) || bytes.Contains(line, []byte(dir)) || strings.HasPrefix(folder, dir) {
			found = append(found, filepath.Base(entry)+" "+strings.ReplaceAll(string(line), "\x00", " "))
		}
	}
	return found
}

func TestReleaseThatIsNotThereIsNamed(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	for release, want := range map[string]string{
		"2025.1": "make test-2025.1", "newest": "make test-newest", "nautilus": `no ironic release "nautilus": choose 2025.1, newest`,
	} {
		if _, err := New(t.Context(), Options{Release: release}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("release %s: got %v, want an error with %s", release, err, want)
		}
	}
}

// TestTheReleaseIsTheOneThatWasAskedFor runs against whatever IRONMASTER_RELEASE names.
func TestTheReleaseIsTheOneThatWasAskedFor(t *testing.T) {
	l := NewForTest(t, Options{})
	got, err := l.IronicVersion()
	if err != nil {
		t.Fatal(err)
	}
	major, _, _ := strings.Cut(got, ".")
	number, err := strconv.Atoi(major)
	if err != nil {
		t.Fatalf("ironic's version is %q", got)
	}
	switch release := os.Getenv(ReleaseVariable); {
	case release == "2025.1" && number != 29, release == "newest" && number < 39, release == "" && number < 21:
		t.Errorf("ironic %s was found for release %q", got, release)
	}
}
