package lab

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// Ports are taken from below Linux's range for outgoing connections, so that no connection takes one between its choice
// and the moment when the service listens.
const (
	firstPort = 20000
	lastPort  = 32000
)

// ports reserves TCP ports for one lab. Other labs keep away from them because each reservation is a locked file, which
// the kernel unlocks when this program ends.
type ports struct {
	mu    sync.Mutex
	locks []*os.File
}

func (p *ports) reserve(count int) ([]int, error) {
	folder := filepath.Join(os.TempDir(), fmt.Sprintf("ironmaster-ports-%d", os.Getuid()))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("reserving ports: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var numbers []int
	for range lastPort - firstPort {
		if len(numbers) == count {
			return numbers, nil
		}
		port := firstPort + rand.IntN(lastPort-firstPort)
		lock, err := os.OpenFile(filepath.Join(folder, strconv.Itoa(port)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("reserving ports: %w", err)
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil || !unused(port) {
			lock.Close()
			continue
		}
		p.locks = append(p.locks, lock)
		numbers = append(numbers, port)
	}
	return nil, errors.New("reserving ports: too few are free")
}

func (p *ports) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, lock := range p.locks {
		lock.Close()
	}
	p.locks = nil
}

func unused(port int) bool {
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// reachable is an address that machines reach.
func (l *Lab) reachable(port int) string {
	return net.JoinHostPort(l.options.Address, strconv.Itoa(port))
}

// listens is a readiness check: something accepts connections on the port.
func listens(port int) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "tcp", loopback(port))
		if err != nil {
			return err
		}
		return connection.Close()
	}
}
