package lab

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"
)

// TestProxy takes a path away in each way, and gives it back.
func TestProxy(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		for {
			connection, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				_, _ = io.Copy(connection, connection)
			}()
		}
	}()
	proxy, err := StartProxy(t.Context(), server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	dial := func() (net.Conn, *bufio.Reader) {
		t.Helper()
		connection, err := net.Dial("tcp", proxy.Address())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		return connection, bufio.NewReader(connection)
	}
	say := func(connection net.Conn) {
		t.Helper()
		if _, err := io.WriteString(connection, "hello\n"); err != nil {
			t.Fatal(err)
		}
	}
	hear := func(answers *bufio.Reader) {
		t.Helper()
		if line, err := answers.ReadString('\n'); err != nil || line != "hello\n" {
			t.Fatalf("the echo is %q (%v)", line, err)
		}
	}

	connection, answers := dial()
	say(connection)
	hear(answers)

	proxy.Silence()
	say(connection)
	if err := connection.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := answers.ReadByte(); err == nil {
		t.Error("something came through a silent path")
	}
	if err := connection.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	proxy.Heal()
	hear(answers)

	proxy.Cut()
	if _, err := answers.ReadByte(); err == nil {
		t.Error("a connection outlived the cut of its path")
	}
	refused, nothing := dial()
	_, _ = io.WriteString(refused, "hello\n") // it may be refused before
	if _, err := nothing.ReadByte(); err == nil {
		t.Error("somebody was let in on a cut path")
	}

	proxy.Heal()
	connection, answers = dial()
	say(connection)
	hear(answers)
}
