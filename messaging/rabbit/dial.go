package rabbit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/ironmaster/ironmaster/store/tcp"
)

const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 30 * time.Second
	// writeTimeout bounds every write: a broker under memory alarm stops reading, and without it a publisher would hang.
	writeTimeout = 30 * time.Second
	closeTimeout = 5 * time.Second
)

// deadlineConn gives every write a deadline. Reads have that of the heartbeat.
type deadlineConn struct{ net.Conn }

func (c deadlineConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// dial connects to one host and negotiates AMQP. The raw connection is returned as well: closing it frees every call of
// the AMQP library that hangs on a dead network.
func (c *Config) dial(ctx context.Context, h Host) (*amqp.Connection, net.Conn, error) {
	raw, err := tcp.Dialer(dialTimeout).DialContext(ctx, "tcp", h.Address())
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to RabbitMQ: %w", err)
	}
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	conn, err := c.negotiate(ctx, raw, h)
	if err != nil {
		raw.Close()
		return nil, nil, fmt.Errorf("connecting to RabbitMQ at %s: %w", h.Address(), err)
	}
	return conn, raw, nil
}

func (c *Config) negotiate(ctx context.Context, raw net.Conn, h Host) (*amqp.Connection, error) {
	if err := raw.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	stream := raw
	if c.Options.TLS {
		config, err := c.Options.tlsConfig(h.Name)
		if err != nil {
			return nil, err
		}
		client := tls.Client(raw, config)
		if err := client.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS handshake: %w", err)
		}
		stream = client
	}
	properties := amqp.NewConnectionProperties()
	properties.SetClientConnectionName(c.Name)
	conn, err := amqp.Open(deadlineConn{stream}, amqp.Config{
		SASL:       []amqp.Authentication{c.Options.auth(h)},
		Vhost:      c.url.VHost,
		Heartbeat:  c.Options.Heartbeat,
		FrameSize:  128 << 10,
		Locale:     "en_US",
		Properties: properties,
	})
	if err != nil {
		return nil, err
	}
	// From here on reads are bounded by the heartbeats, which set this deadline anew with every frame.
	idle := time.Time{}
	if conn.Config.Heartbeat > 0 {
		idle = time.Now().Add(3 * conn.Config.Heartbeat)
	}
	return conn, stream.SetReadDeadline(idle)
}

func (o *Options) auth(h Host) amqp.Authentication {
	switch o.LoginMethod {
	case "PLAIN":
		return &amqp.PlainAuth{Username: h.User, Password: h.Password}
	case "EXTERNAL":
		return &amqp.ExternalAuth{}
	}
	return &amqp.AMQPlainAuth{Username: h.User, Password: h.Password}
}

// tlsConfig follows oslo.messaging: the server's certificate is verified only when ssl_ca_file is set, and its name only
// when ssl_enforce_hostname_verification is set too.
func (o *Options) tlsConfig(server string) (*tls.Config, error) {
	config := &tls.Config{ServerName: server, MinVersion: tls.VersionTLS12}
	switch strings.ToLower(strings.ReplaceAll(o.TLSVersion, ".", "_")) {
	case "", "sslv23", "tlsv1", "tlsv1_1", "tlsv1_2":
	case "tlsv1_3":
		config.MinVersion = tls.VersionTLS13
	default:
		return nil, fmt.Errorf("ssl_version %q is not supported: use TLSv1_2 or TLSv1_3", o.TLSVersion)
	}
	if o.CertFile != "" || o.KeyFile != "" {
		pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading ssl_cert_file and ssl_key_file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if o.CAFile == "" {
		config.InsecureSkipVerify = true
		return config, nil
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, fmt.Errorf("reading ssl_ca_file: %w", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ssl_ca_file %s holds no certificate", o.CAFile)
	}
	if !o.VerifyHostname {
		config.InsecureSkipVerify = true
		config.VerifyConnection = verifyChain(config.RootCAs)
	}
	return config, nil
}

// verifyChain checks who signed the server's certificate and not which name it carries.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		if len(state.PeerCertificates) == 0 {
			return errors.New("the server sent no certificate")
		}
		between := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
}
