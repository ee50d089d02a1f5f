package jsonrpc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
)

// Address is where a server listens: on a TCP address, or on a Unix socket, which wins.
type Address struct {
	// Host is an IP address or a host name; :: takes IPv4 too.
	Host string
	Port int
	// Socket is the path of a Unix socket, Mode its file mode; 0 leaves the mode to the umask.
	Socket string
	Mode   os.FileMode
}

func (a Address) String() string {
	if a.Socket != "" {
		return a.Socket
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(a.Port))
}

// Listen takes the address. A Unix socket that an earlier server left behind is replaced.
func (a Address) Listen() (net.Listener, error) {
	if a.Socket == "" {
		return net.Listen("tcp", a.String())
	}
	if info, err := os.Lstat(a.Socket); err == nil && info.Mode().Type() == os.ModeSocket {
		if err := os.Remove(a.Socket); err != nil {
			return nil, err
		}
	}
	listener, err := net.Listen("unix", a.Socket)
	if err != nil || a.Mode == 0 {
		return listener, err
	}
	if err := os.Chmod(a.Socket, a.Mode); err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return listener, nil
}

// TLS says how connections are secured.
type TLS struct {
	// CertFile and KeyFile are the server's, in PEM.
	CertFile, KeyFile string
	// CAFile, when set, is whose certificates clients have to present.
	CAFile string
	// MinVersion is 1.2 or 1.3.
	MinVersion string
}

// Config reads the files.
func (t TLS) Config() (*tls.Config, error) {
	if t.CertFile == "" || t.KeyFile == "" {
		return nil, errors.New("a certificate and its key have to be named")
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("reading certificate and key: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	if t.MinVersion == "1.3" {
		c.MinVersion = tls.VersionTLS13
	}
	if t.CAFile == "" {
		return c, nil
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading the CA of clients: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("reading the CA of clients: %s holds no certificate", t.CAFile)
	}
	return c, nil
}
