package ipmi

import (
	"net"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// A port that one kind of console was given is none for another, although nothing listens there yet.
func TestConsolesOfEveryKindShareTheirPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	client := &Client{ports: newPortPool(ConsoleConfig{Ports: []PortRange{{port, port + 1}}, Host: "worker-1"})}
	serial, web := NewConsole(client), NewWebConsole(client)
	if got, err := serial.ports.allocate(0, "127.0.0.1"); store.KindOf(err) != store.NoFreeIPMITerminalPorts {
		t.Errorf("a port that somebody listens on was given out: %d, %v", got, err)
	}
	l.Close()
	if got, err := serial.ports.allocate(0, "127.0.0.1"); err != nil || got != port {
		t.Fatalf("got %d, %v", got, err)
	}
	if got, err := web.ports.allocate(0, "127.0.0.1"); store.KindOf(err) != store.NoFreeIPMITerminalPorts {
		t.Errorf("a port was given out twice: %d, %v", got, err)
	}
	if got, err := serial.ports.allocate(port, "127.0.0.1"); err != nil || got != port {
		t.Errorf("the console that had it: got %d, %v", got, err)
	}
	serial.ports.free(port)
	if got, err := web.ports.allocate(0, "127.0.0.1"); err != nil || got != port {
		t.Errorf("after it was given back: got %d, %v", got, err)
	}
}
