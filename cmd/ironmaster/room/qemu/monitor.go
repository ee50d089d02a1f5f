package qemu

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// commandTimeout bounds one command of a caller without a deadline. QEMU answers at once, or is busy with a dead disk.
	commandTimeout = 30 * time.Second
	// maxMessage bounds one message of QEMU. The longest answer to what is asked here has some hundred bytes.
	maxMessage = 1 << 20
)

// monitor is the control connection of one QEMU (QMP, docs/interop/qmp-spec in QEMU): JSON objects, one a line. Events that
// arrive between answers are passed over; what matters of them shows in the process itself.
type monitor struct {
	conn net.Conn

	mu    sync.Mutex // one command at a time
	lines *bufio.Scanner
	last  uint64
}

// message is what QEMU sends: its greeting, an answer, or an event.
type message struct {
	Greeting json.RawMessage `json:"QMP"`
	ID       uint64          `json:"id"`
	Return   json.RawMessage `json:"return"`
	Event    string          `json:"event"`
	Error    *struct {
		Class       string `json:"class"`
		Description string `json:"desc"`
	} `json:"error"`
}

// openMonitor reads the greeting and asks for command mode.
func openMonitor(ctx context.Context, conn net.Conn) (*monitor, error) {
	m := &monitor{conn: conn, lines: bufio.NewScanner(conn)}
	m.lines.Buffer(nil, maxMessage)
	m.mu.Lock()
	err := m.deadline(ctx)
	var first message
	if err == nil {
		first, err = m.receive()
	}
	m.mu.Unlock()
	if err == nil && first.Greeting == nil {
		err = errors.New("it does not greet as QEMU does")
	}
	if err == nil {
		err = m.do(ctx, "qmp_capabilities", nil)
	}
	if err != nil {
		return nil, fmt.Errorf("opening QEMU's monitor: %w", err)
	}
	return m, nil
}

// do runs one command and waits for its end.
func (m *monitor) do(ctx context.Context, command string, arguments map[string]any) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.deadline(ctx); err != nil {
		return err
	}
	m.last++
	request := map[string]any{"execute": command, "id": m.last}
	if arguments != nil {
		request["arguments"] = arguments
	}
	text, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("QEMU's %s: %w", command, err)
	}
	if _, err := m.conn.Write(append(text, '\n')); err != nil {
		return fmt.Errorf("QEMU's %s: %w", command, err)
	}
	if err := m.answer(); err != nil {
		return fmt.Errorf("QEMU's %s: %w", command, err)
	}
	return nil
}

// answer reads until the answer to the last command. An earlier one is late: nobody waits for it any more.
func (m *monitor) answer() error {
	for {
		got, err := m.receive()
		switch {
		case err != nil:
			return err
		case got.Error != nil && (got.ID == m.last || got.ID == 0):
			return fmt.Errorf("%s (%s)", got.Error.Description, got.Error.Class)
		case got.Return != nil && got.ID == m.last:
			return nil
		}
	}
}

func (m *monitor) receive() (message, error) {
	var got message
	if !m.lines.Scan() {
		if err := m.lines.Err(); err != nil {
			return got, err
		}
		return got, io.EOF
	}
	if err := json.Unmarshal(m.lines.Bytes(), &got); err != nil {
		return got, fmt.Errorf("reading a message: %w", err)
	}
	return got, nil
}

func (m *monitor) deadline(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	until, ok := ctx.Deadline()
	if !ok {
		until = time.Now().Add(commandTimeout)
	}
	return m.conn.SetDeadline(until)
}
