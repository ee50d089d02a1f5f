package sql_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store/sql"
)

// proxy stands between the package and a database server. It can lose an answer: a statement goes through and takes
// effect, and the connection breaks before the client learns so. And it can go silent, as a network does that was cut.
type proxy struct {
	server string
	listen net.Listener

	mu     sync.Mutex
	marker []byte
	lost   int
	// silence is closed when connections that were open in it are to break; nil while bytes flow.
	silence chan struct{}
	conns   sync.WaitGroup
}

// goSilent lets nothing through any more, and closes no connection, until the function that it returns is called: then
// all connections break that were open meanwhile.
func (p *proxy) goSilent() (end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	silence := make(chan struct{})
	p.silence = silence
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.silence = nil
		close(silence)
	})
}

// silent returns at once while bytes flow. In silence it returns at its end, and tells so.
func (p *proxy) silent() bool {
	p.mu.Lock()
	silence := p.silence
	p.mu.Unlock()
	if silence == nil {
		return false
	}
	<-silence
	return true
}

func startProxy(t *testing.T, server string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{server: server, listen: l}
	p.conns.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			p.conns.Go(func() { p.serve(client) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.conns.Wait()
	})
	return p
}

// loseAnswerTo arms the proxy for the next packet of a client that holds the text.
func (p *proxy) loseAnswerTo(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.marker, p.lost = []byte(text), 0
}

func (p *proxy) answersLost() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost
}

func (p *proxy) trips(packet []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.marker) == 0 || !bytes.Contains(packet, p.marker) {
		return false
	}
	p.marker = nil
	p.lost++
	return true
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	defer server.Close()
	var answers sync.WaitGroup
	defer answers.Wait()
	// A tripped proxy swallows what the server says until it has said something, then breaks.
	tripped := make(chan struct{})
	answers.Go(func() {
		defer client.Close()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if p.silent() {
				return
			}
			select {
			case <-tripped:
				return
			default:
			}
			if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
				return
			}
		}
	})
	buf := make([]byte, 64<<10)
	for {
		n, err := client.Read(buf)
		if p.silent() {
			server.Close()
			return
		}
		if err == nil && p.trips(buf[:n]) {
			close(tripped)
		}
		if _, werr := server.Write(buf[:n]); err != nil || werr != nil {
			if err == io.EOF {
				server.Close()
			}
			return
		}
	}
}

// onServers runs a test on the engines that are reached over a network, through a proxy.
func onServers(t *testing.T, test func(t *testing.T, db *sql.DB, p *proxy, e engine)) {
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			url := e.url(t)
			p := startProxy(t, address(url))
			through := engine{e.name, func(*testing.T) string {
				return string(bytes.Replace([]byte(url), []byte(address(url)), []byte(p.listen.Addr().String()), 1)) + proxyOptions[e.name]
			}, e.precision}
			db := open(t, through, func(cfg *sql.Config) { cfg.OutageLimit = 20 * time.Second })
			test(t, db, p, e)
		})
	}
}

// The proxy reads what goes by.
var proxyOptions = map[string]string{"postgresql": "?sslmode=disable"}
