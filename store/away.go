package store

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/url"
)

// away is a failure whose cause is that a service could not be reached or is not able to answer for now.
type away struct {
	error
	service string
}

func (a away) Unwrap() error { return a.error }

// Away marks err as the fault of a service that is away: to ask it again later may help. The text stays the same.
func Away(service string, err error) error { return away{err, service} }

// AwayService names the service that is away, according to err; ok is false when err has another cause.
func AwayService(err error) (service string, ok bool) {
	var a away
	if !errors.As(err, &a) {
		return "", false
	}
	return a.service, true
}

// Unreachable tells whether a request failed for want of an answer, as opposed to one that can't be made or trusted: a name
// that nobody has, a certificate that does not fit.
func Unreachable(err error) bool {
	var request *url.Error
	if errors.As(err, &request) {
		// It counts as a failure of the network whatever it holds.
		err = request.Err
	}
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &name) && name.IsNotFound || errors.As(err, &certificate) {
		return false
	}
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
