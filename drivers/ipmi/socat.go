package ipmi

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// socat is the terminal of ipmitool-socat: a TCP port, for one user at a time.
type socat struct{ cfg ConsoleConfig }

// command has the arguments that ironic gives socat.
func (s socat) command(to target, run []string, pidFile string) ([]string, error) {
	args := []string{"socat"}
	if s.cfg.Idle > 0 {
		args = append(args, "-T"+strconv.Itoa(int(s.cfg.Idle.Seconds())))
	}
	args = append(args, s.mark(pidFile))
	address, err := netip.ParseAddr(s.cfg.Address)
	if err != nil {
		return nil, store.Errorf(store.ConsoleError, "[console]socat_address = %s is not an IP address", s.cfg.Address)
	}
	listen := fmt.Sprintf("TCP4-LISTEN:%d,bind=%s", to.terminalPort, address)
	if address.Is6() {
		listen = fmt.Sprintf("TCP6-LISTEN:%d,bind=[%s]", to.terminalPort, address)
	}
	return append(args, listen+",reuseaddr,fork,max-children=1", `EXEC:"`+escapeForSocat(strings.Join(run, " "))+`",pty,stderr`), nil
}

func (socat) mark(pidFile string) string { return "-L" + pidFile }

func (socat) failure(node string, command []string, ended *os.ProcessState, said string) string {
	if ended == nil {
		return fmt.Sprintf("Timeout while waiting for console subprocess to start for node %s.", node)
	}
	return fmt.Sprintf("Command: %s.\nExit code: %d.\nStderr: %s", strings.Join(command, " "), ended.ExitCode(), said)
}

func (s socat) access(port int) drivers.ConsoleAccess {
	return drivers.ConsoleAccess{Type: "socat", URL: "tcp://" + net.JoinHostPort(s.cfg.Address, strconv.Itoa(port))}
}

func (s socat) address() string { return s.cfg.Address }

func (socat) deactivates() bool { return true }

// escapeForSocat keeps socat from reading anything into a command line. It reads it twice, and takes one level of escaping away
// each time; spaces separate arguments. No shell is involved.
func escapeForSocat(command string) string {
	var b strings.Builder
	for _, r := range command {
		if strings.ContainsRune(`,:!'"()[]{}\`, r) {
			b.WriteString(`\\\`)
		}
		b.WriteRune(r)
	}
	return b.String()
}
