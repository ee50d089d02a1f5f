package wholeworker

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// opensConsole speaks with the machine over its serial port.
func opensConsole(t *testing.T, n *ipmiNode) {
	n.manage(t)
	var shown struct {
		Enabled bool `json:"console_enabled"`
		Info    struct {
			Type string `json:"type"`
			URL  string `json:"url"`
		} `json:"console_info"`
	}
	enable := func(on bool) {
		t.Helper()
		must(t, n.ask(t, http.MethodPut, "/states/console", map[string]any{"enabled": on}, nil))
		eventually(t, fmt.Sprintf("the console is enabled: %v", on), func() error {
			if err := n.ask(t, http.MethodGet, "/states/console", nil, &shown); err != nil {
				return err
			}
			if shown.Enabled != on {
				got, err := n.w.api.node(t.Context(), n.uuid)
				return errors.Join(errors.New("not yet: "+got.LastError), err)
			}
			return nil
		})
	}
	enable(true)
	address, is := strings.CutPrefix(shown.Info.URL, "tcp://")
	if shown.Info.Type != "socat" || !is {
		t.Fatalf("the console is shown as %+v", shown.Info)
	}
	user, err := net.Dial("tcp", address)
	must(t, err)
	defer user.Close()
	must(t, user.SetDeadline(time.Now().Add(settleTime)))
	said := bufio.NewReader(user)
	awaitText(t, said, "SOL Session operational")
	fmt.Fprintf(user, "hello\r\n")
	awaitText(t, said, "you typed hello")
	enable(false)
	if _, err := net.Dial("tcp", address); err == nil {
		t.Error("somebody still listens")
	}
	for _, left := range []string{filepath.Join("consoles", n.uuid+".pid"), n.uuid + ".pw"} {
		if _, err := os.Stat(filepath.Join(n.w.lab.Dir, left)); err == nil {
			t.Errorf("%s is left", left)
		}
	}
}

// startSerial is the serial port of a machine that answers each line. It returns its address.
func startSerial(t *testing.T) string {
	t.Helper()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { port.Close() })
	go func() {
		for {
			line, err := port.Accept()
			if err != nil {
				return
			}
			go func() {
				defer line.Close()
				lines := bufio.NewScanner(line)
				for lines.Scan() {
					fmt.Fprintf(line, "you typed %s\r\n", strings.TrimSpace(lines.Text()))
				}
			}()
		}
	}()
	return port.Addr().String()
}

// awaitText reads until a text has come.
func awaitText(t *testing.T, from io.ByteReader, want string) {
	t.Helper()
	var all strings.Builder
	for !strings.HasSuffix(all.String(), want) {
		c, err := from.ReadByte()
		if err != nil {
			t.Fatalf("waiting for %q: %v, read %q", want, err, all.String())
		}
		all.WriteByte(c)
	}
}
