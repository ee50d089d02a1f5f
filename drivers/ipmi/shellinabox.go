package ipmi

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// shellInABox is the terminal of ipmitool-shellinabox: a web page, on every address of the host. The program goes into the
// background by itself.
type shellInABox struct{ cfg ConsoleConfig }

// command has the arguments that ironic gives shellinaboxd.
func (s shellInABox) command(to target, run []string, pidFile string) ([]string, error) {
	args := []string{s.cfg.Terminal, "-t"}
	if s.cfg.CertDir != "" {
		args = []string{s.cfg.Terminal, "-c", s.cfg.CertDir}
	}
	escaped := make([]string, len(run))
	for i, word := range run {
		escaped[i] = escapeForShellInABox(word)
	}
	service := fmt.Sprintf("/:%d:%d:HOME:%s", os.Getuid(), os.Getgid(), strings.Join(escaped, " "))
	return append(args, "-p", strconv.Itoa(to.terminalPort), s.mark(pidFile), "-s", service), nil
}

// escapeForShellInABox keeps shellinaboxd from reading anything into a word of a service's command line: it takes quotes,
// backslashes and ${NAME} apart. No shell is involved.
func escapeForShellInABox(word string) string {
	var b strings.Builder
	for _, r := range word {
		if strings.ContainsRune(`'"\$`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (shellInABox) mark(pidFile string) string { return "--background=" + pidFile }

func (shellInABox) failure(node string, command []string, ended *os.ProcessState, said string) string {
	text := fmt.Sprintf("Timeout or error while waiting for console subprocess to start for node: %s.\nCommand: %s.\n", node,
		strings.Join(command, " "))
	if ended == nil {
		return text
	}
	return text + fmt.Sprintf("Exit code: %d.\nStdout: b''\nStderr: b%s", ended.ExitCode(), store.PythonRepr(said))
}

func (s shellInABox) access(port int) drivers.ConsoleAccess {
	scheme := "http"
	if s.cfg.CertDir != "" {
		scheme = "https"
	}
	return drivers.ConsoleAccess{Type: "shellinabox", URL: scheme + "://" + net.JoinHostPort(s.cfg.WebAddress, strconv.Itoa(port))}
}

// address is every one of the host.
func (shellInABox) address() string { return "" }

// deactivates is false: the session ends with its ipmitool.
func (shellInABox) deactivates() bool { return false }
