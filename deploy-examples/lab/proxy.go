package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Proxy stands on a network path between a conductor and one of its servers, and can take it away.
type Proxy struct {
	server   string
	listener net.Listener
	cancel   context.CancelFunc
	running  sync.WaitGroup

	mu    sync.Mutex
	state path
	// changed is closed and replaced whenever the path changes.
	changed chan struct{}
	open    map[net.Conn]struct{}
}

// path is what a proxy does with what comes.
type path int

const (
	pathOpen path = iota
	// pathCut breaks connections and refuses new ones, as a host does on which nothing listens.
	pathCut
	// pathSilent passes nothing on and says nothing of it, as a network does that loses packets.
	pathSilent
)

// StartProxy passes connections on to a server, host:port. It ends with Close or with ctx.
func StartProxy(ctx context.Context, server string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a proxy before %s: %w", server, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &Proxy{server: server, listener: listener, cancel: cancel, changed: make(chan struct{}), open: map[net.Conn]struct{}{}}
	p.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.running.Go(func() { p.serve(ctx, client) })
		}
	})
	context.AfterFunc(ctx, func() {
		_ = listener.Close()
		p.Cut()
	})
	return p, nil
}

// Address is where clients connect instead of to the server.
func (p *Proxy) Address() string { return p.listener.Addr().String() }

// Cut breaks all connections and lets nobody in until Heal.
func (p *Proxy) Cut() {
	p.change(pathCut)
	p.breakAll()
}

// Silence passes nothing on until Heal; connections stay open, and new ones are accepted.
func (p *Proxy) Silence() { p.change(pathSilent) }

// Heal passes on what comes, and what has waited.
func (p *Proxy) Heal() { p.change(pathOpen) }

// Close ends the proxy and returns when nothing of it runs any more.
func (p *Proxy) Close() {
	p.cancel()
	_ = p.listener.Close()
	p.Cut()
	p.running.Wait()
}

func (p *Proxy) change(to path) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state = to
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Proxy) breakAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for connection := range p.open {
		_ = connection.Close()
	}
}

// hold keeps a connection among those that a cut breaks. It returns false when the path is cut.
func (p *Proxy) hold(connection net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state == pathCut {
		return false
	}
	p.open[connection] = struct{}{}
	return true
}

func (p *Proxy) letGo(connection net.Conn) {
	p.mu.Lock()
	delete(p.open, connection)
	p.mu.Unlock()
	_ = connection.Close()
}

// pass waits until something may be passed on. It returns false when that will not be.
func (p *Proxy) pass(ctx context.Context) bool {
	for {
		p.mu.Lock()
		state, changed := p.state, p.changed
		p.mu.Unlock()
		if state != pathSilent {
			return state == pathOpen
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	if !p.hold(client) {
		_ = client.Close()
		return
	}
	defer p.letGo(client)
	if !p.pass(ctx) {
		return
	}
	server, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", p.server)
	if err != nil {
		return
	}
	defer p.letGo(server)
	if !p.hold(server) {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		p.copy(ctx, client, server)
		// What the client still has to say has no receiver any more.
		_ = client.Close()
	})
	p.copy(ctx, server, client)
	_ = server.Close()
	back.Wait()
}

func (p *Proxy) copy(ctx context.Context, to io.Writer, from io.Reader) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.pass(ctx) {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
