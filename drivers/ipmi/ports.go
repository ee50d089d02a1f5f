package ipmi

import (
	"net"
	"strconv"
	"sync"

	"github.com/ironmaster/ironmaster/store"
)

// portPool gives out the ports of [console]port_range, to consoles of every kind: one that is given out is not listened on before its
// program runs.
type portPool struct {
	cfg ConsoleConfig

	mu    sync.Mutex
	taken map[int]bool
}

func newPortPool(cfg ConsoleConfig) *portPool { return &portPool{cfg: cfg, taken: map[int]bool{}} }

// allocate finds a port that nothing listens on at an address: the one that a node had, 0 for none, when that is free.
func (p *portPool) allocate(had int, address string) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range append([]PortRange{{had, had + 1}}, p.cfg.Ports...) {
		for port := r.First; port < r.Stop; port++ {
			if port == 0 || p.taken[port] && port != had {
				continue
			}
			l, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
			if err != nil {
				continue
			}
			l.Close()
			p.taken[port] = true
			return port, nil
		}
	}
	return 0, store.Errorf(store.NoFreeIPMITerminalPorts,
		"Unable to allocate a free port on host %s for IPMI terminal, not enough free ports.", p.cfg.Host)
}

// free takes a port back.
func (p *portPool) free(port int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.taken, port)
}
