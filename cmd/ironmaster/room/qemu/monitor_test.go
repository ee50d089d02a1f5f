package qemu

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// peer plays QEMU's side of a monitor: the greeting, then one text for each command that it reads.
func peer(t *testing.T, greeting string, answers ...string) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		commands := bufio.NewScanner(theirs)
		if _, err := io.WriteString(theirs, greeting); err != nil {
			return
		}
		for _, answer := range answers {
			if !commands.Scan() {
				return
			}
			if _, err := io.WriteString(theirs, answer); err != nil {
				return
			}
		}
		commands.Scan()
	}()
	t.Cleanup(func() {
		ours.Close()
		theirs.Close()
		<-done
	})
	return ours
}

const (
	hello  = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}}, "capabilities": ["oob"]}}` + "\r\n"
	agreed = `{"return": {}, "id": 1}` + "\r\n"
)

func TestMonitor(t *testing.T) {
	for _, test := range []struct {
		name, greeting string
		answers        []string
		want           string // a part of the error, "" for none
	}{
		{"plain", hello, []string{agreed, `{"return": {}, "id": 2}` + "\n"}, ""},
		{"events on the way", hello, []string{`{"event": "A", "data": {}}` + "\n" + agreed,
			`{"event": "RESUME"}` + "\n" + `{"event": "B"}` + "\n" + `{"return": {}, "id": 2}` + "\n"}, ""},
		{"a late answer", hello, []string{agreed, `{"return": {}, "id": 1}` + "\n" + `{"return": {}, "id": 2}` + "\n"}, ""},
		{"refused", hello, []string{agreed, `{"error": {"class": "GenericError", "desc": "Device 'cd0' is locked"}, "id": 2}` + "\n"},
			"Device 'cd0' is locked (GenericError)"},
		{"no greeting", agreed, []string{agreed}, "does not greet"},
		{"not JSON", "SSH-2.0-OpenSSH\n", nil, "reading a message"},
		{"ended", hello, []string{agreed, ""}, "deadline"},
	} {
		t.Run(test.name, func(t *testing.T) {
			limit := time.Minute
			if test.want == "deadline" {
				limit = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			m, err := openMonitor(ctx, peer(t, test.greeting, test.answers...))
			if err == nil {
				err = m.do(ctx, "cont", nil)
			}
			switch {
			case test.want == "" && err != nil:
				t.Errorf("error %v", err)
			case test.want == "deadline":
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("error %v, want the deadline's", err)
				}
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func FuzzMonitor(f *testing.F) {
	f.Add([]byte(hello + agreed + `{"return": {}, "id": 2}` + "\n"))
	f.Add([]byte(hello + agreed + `{"error": {"class": "X", "desc": "y"}}` + "\n"))
	f.Add([]byte(`{"QMP": 1, "id": -1}`))
	f.Fuzz(func(t *testing.T, said []byte) {
		m, err := openMonitor(t.Context(), &recording{said: strings.NewReader(string(said))})
		for err == nil {
			err = m.do(t.Context(), "cont", nil)
		}
		if err.Error() == "" {
			t.Error("an error without words")
		}
	})
}

// recording is a connection whose other side says the same whatever it is told.
type recording struct {
	net.Conn
	said io.Reader
}

func (r *recording) Read(p []byte) (int, error)  { return r.said.Read(p) }
func (r *recording) Write(p []byte) (int, error) { return len(p), nil }
func (r *recording) SetDeadline(time.Time) error { return nil }
