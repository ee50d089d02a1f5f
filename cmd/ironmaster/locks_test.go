package main

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ironmaster/ironmaster/conductor"
	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/store/local"
)

// operators serves what a conductor's admin_listen would.
func operators(t *testing.T, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// nobody is an address at which nothing listens, until somebody does who was told of it. A socket that is bound and never listens
// keeps the system from giving the port to anybody else before the test ends; with SO_REUSEADDR, which Go's listeners have too, it is
// not in the way of one.
func nobody(t *testing.T) string {
	t.Helper()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(socket) })
	if err := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(socket, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	bound, err := unix.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port)
}

// A port that a test was given is nobody else's, and whoever is to listen there may do so again and again.
func TestAddressesAreKept(t *testing.T) {
	address := nobody(t)
	for range 2 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			t.Fatal("somebody listens at", address)
		}
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
		listener.Close()
	}
}

// stateFile is what a conductor that died with two locks leaves.
func stateFile(t testing.TB, path string) {
	t.Helper()
	db, err := local.Open(path, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []local.Lock{
		{Node: nodeOne, Purpose: "provisioning", RequestID: "req-1"}, {Node: nodeTwo, Purpose: "power"},
	} {
		if _, err := db.TryLock(want); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestARunningConductorTellsItsLocks(t *testing.T) {
	address := operators(t, http.StatusOK, `[{"node": "`+nodeOne+`", "shared": true, "purpose": "power sync", "request_id": "",
		"since": "2026-01-02T03:04:05Z", "epoch": 7}]`)
	locks, from, err := findLocks(t.Context(), config.Ironmaster{AdminListen: address, StateFile: "/nothing/here"})
	if err != nil || from != "" || len(locks) != 1 || locks[0].Node != nodeOne || !locks[0].Shared || locks[0].Epoch != 7 {
		t.Errorf("got %+v, %q, %v", locks, from, err)
	}
}

func TestLocksOfAConductorThatDoesNotAnswer(t *testing.T) {
	left := filepath.Join(t.TempDir(), "left.db")
	stateFile(t, left)
	used := filepath.Join(t.TempDir(), "used.db")
	db, err := local.Open(used, local.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	broken := filepath.Join(t.TempDir(), "broken.db")
	if err := os.WriteFile(broken, []byte(strings.Repeat("no database ", 4096)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, address, file, from, err string }{
		{"died", nobody(t), left, "These are the locks that the last one left in " + left, ""},
		{"never ran", nobody(t), left + "x", "", "none ran here with this configuration"},
		{"other address", nobody(t), used, "", "one has " + used + " open"},
		{"broken file", nobody(t), broken, "", "look at [ironmaster]state_file"},
		{"another program", operators(t, 404, "not found"), left, "", "answers 404 Not Found: it is no conductor's [ironmaster]admin_listen"},
		{"a web page", operators(t, 200, "<html>"), left, "", "is no conductor's [ironmaster]admin_listen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			locks, from, err := findLocks(t.Context(), config.Ironmaster{AdminListen: c.address, StateFile: c.file})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("failed with %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || len(locks) != 2 || !strings.Contains(from, c.from) {
				t.Fatalf("got %+v, %q, %v", locks, from, err)
			}
		})
	}
}

func TestLocksAreATable(t *testing.T) {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	var out strings.Builder
	err := printLocks(&out, []conductor.LockView{
		{Node: nodeOne, Purpose: "provisioning", RequestID: "req-1", Since: since, Epoch: 3},
		{Node: nodeTwo, Shared: true, Purpose: "power sync", Since: since.Add(time.Hour), Epoch: 3},
	}, since.Add(time.Hour+2*time.Minute))
	want := "" +
		"NODE                                  KIND       PURPOSE       REQUEST  SINCE                HELD FOR    EPOCH\n" +
		nodeOne + "  exclusive  provisioning  req-1    2026-01-02 03:04:05  1 h 02 min  3\n" +
		nodeTwo + "  shared     power sync    -        2026-01-02 04:04:05  2 min 00 s  3\n"
	if err != nil || out.String() != want {
		t.Errorf("%v, printed\n%s want\n%s", err, out.String(), want)
	}
}

func TestListenersAreFoundOnLoopback(t *testing.T) {
	for listen, want := range map[string]string{
		":8990": "127.0.0.1:8990", "0.0.0.0:1": "127.0.0.1:1", "[::]:1": "[::1]:1", "192.0.2.1:8990": "192.0.2.1:8990",
		"localhost:1": "localhost:1",
	} {
		if got := dialAddress(listen); got != want {
			t.Errorf("%s is asked at %s, want %s", listen, got, want)
		}
	}
}
