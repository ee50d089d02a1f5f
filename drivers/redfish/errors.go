package redfish

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/ironmaster/ironmaster/store"
)

// notRedfish is an answer that no Redfish service gives: a web page, nothing, another kind of JSON, or far too much.
type notRedfish struct {
	method, path string
	problem      string
}

func (e *notRedfish) Error() string {
	return fmt.Sprintf("the answer to %s %s is not Redfish: %s", e.method, e.path, e.problem)
}

// tooSlow is a BMC that took a request and did not answer in time.
type tooSlow struct{ after time.Duration }

func (e *tooSlow) Error() string { return fmt.Sprintf("no answer within %s", e.after) }

// loginRefused is what a BMC says to a user name and password.
type loginRefused struct{ cause error }

func (e *loginRefused) Error() string { return "the session was refused: " + e.cause.Error() }
func (e *loginRefused) Unwrap() error { return e.cause }

// unreachable tells that err comes from the way to the BMC, not from the BMC.
func unreachable(err error) bool {
	var slow *tooSlow
	var network net.Error
	var operation *net.OpError
	return errors.As(err, &slow) || errors.As(err, &network) && network.Timeout() || errors.As(err, &operation) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || untrusted(err) || transportBroken(err)
}

// unanswered tells that err is the silence of a BMC: it could not be reached or said nothing. Whoever answers something that
// makes no sense is not silent.
func unanswered(err error) bool {
	return unreachable(err) && !untrusted(err) && !transportBroken(err)
}

// untrusted tells that err is about the BMC's certificate. Asking again does not help.
func untrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &host) || errors.As(err, &invalid)
}

// transportBroken recognises what net/http only says in words.
func transportBroken(err error) bool {
	text := err.Error()
	return strings.Contains(text, "server gave HTTP response to HTTPS client") ||
		strings.Contains(text, "malformed HTTP") || strings.Contains(text, "tls: ") ||
		strings.Contains(text, "server closed idle connection")
}

// single picks one of the errors of a collection: they have one BMC and mostly one reason.
func single(err error) error {
	var many *schemas.CollectionError
	if !errors.As(err, &many) || many.Empty() {
		return err
	}
	link := slices.Min(slices.Collect(maps.Keys(many.Failures)))
	return fmt.Errorf("reading %s: %w", link, many.Failures[link])
}

// statusOf returns the HTTP status that a BMC refused a request with, 0 when err is something else.
func statusOf(err error) int {
	var e *schemas.Error
	if errors.As(err, &e) {
		return e.HTTPReturnedStatusCode
	}
	return 0
}

// says tells whether a BMC's refusal has a word in it, such as the name of a message, in letters of whichever case.
func says(err error, word string) bool {
	var e *schemas.Error
	if !errors.As(err, &e) {
		return false
	}
	has := func(text string) bool { return strings.Contains(strings.ToLower(text), strings.ToLower(word)) }
	return has(e.Code) || has(e.Message) || slices.ContainsFunc(e.ExtendedInfos, func(i schemas.ErrExtendedInfo) bool {
		return has(i.MessageID) || has(i.Message)
	})
}

// explain says in one line what went wrong between this worker and a BMC, without the password.
func (s *session) explain(err error) string {
	return withoutSecret(s.words(err), s.password)
}

// shortestSecret is how long a secret must be to be hidden: hiding a shorter one would garble every text, and shows what
// it is by what is missing.
const shortestSecret = 4

func withoutSecret(text string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= shortestSecret {
			text = strings.ReplaceAll(text, secret, "***")
		}
	}
	return text
}

// Reason is why a vendor's machine cannot do something, in the words that users are told as they are.
type Reason string

func (r Reason) Error() string { return string(r) }

// notThere is a resource that the BMC does not have, which is told in the words of sushy.
type notThere struct {
	path  string
	cause error
}

func (e *notThere) Error() string { return e.path + ": " + e.cause.Error() }
func (e *notThere) Unwrap() error { return e.cause }

func (s *session) words(err error) string {
	var reason Reason
	var lacking *notThere
	var refused *schemas.Error
	var foreign *notRedfish
	var link *url.Error
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &reason):
		return reason.Error()
	case errors.As(err, &lacking):
		return fmt.Sprintf("Resource %s%s not found", s.address, shorten(lacking.path))
	case errors.As(err, &foreign):
		return s.address + ": " + foreign.Error()
	case errors.As(err, &refused):
		return s.refusal(refused)
	case errors.As(err, &syntax), errors.As(err, &kind):
		return s.address + ": the answer is not Redfish: " + err.Error()
	case untrusted(err):
		return fmt.Sprintf("Unable to connect to %s. Error: its certificate is not trusted: %s. driver_info/redfish_verify_ca "+
			"says what is.", s.address, innermost(err))
	case unreachable(err):
		if errors.As(err, &link) {
			err = link.Err
		}
		return fmt.Sprintf("Unable to connect to %s. Error: %s", s.address, err)
	}
	if errors.As(err, &link) {
		err = link.Err
	}
	return s.address + ": " + err.Error()
}

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// refusal words an error answer: its status and the messages of its extended information (DSP0266 §8.6).
func (s *session) refusal(e *schemas.Error) string {
	status := e.HTTPReturnedStatusCode
	text := fmt.Sprintf("%s answered HTTP %d %s", s.address, status, http.StatusText(status))
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		text += " to the user name and password in driver_info"
	}
	var said []string
	worded := false
	for _, info := range e.ExtendedInfos {
		said = append(said, strings.TrimSpace(info.MessageID+" "+info.Message))
		worded = worded || info.Message != ""
	}
	// Extended information may hold nothing but a message's name; what went wrong then stands above it.
	if !worded && (e.Code != "" || e.Message != "") {
		said = []string{strings.TrimSpace(e.Code + " " + e.Message)}
	}
	if len(said) == 0 {
		return text
	}
	return text + ": " + shorten(strings.Join(said, "; "))
}

// shorten keeps a foreign text to one line of bearable length.
func shorten(text string) string {
	const most = 500
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}

// failure turns an error into what users of ironic see: RedfishConnectionError when the BMC could not be reached,
// RedfishError when it did not do what was asked. A vendor's failed words both. secrets do not show, even when the BMC quotes them.
func (s *session) failure(ctx context.Context, node string, err error, failed func(reason string) error, secrets ...string) error {
	var known *store.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, store.ErrLockLost):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("speaking to the BMC %s: %w", s.address, context.Cause(ctx))
	case failed != nil:
		return failed(withoutSecret(s.explain(err), secrets...))
	case unreachable(err):
		return store.Errorf(store.RedfishConnectionError, "Redfish connection failed for node %s: %s", node,
			withoutSecret(s.explain(err), secrets...))
	}
	return redfishError("%s", withoutSecret(s.explain(err), secrets...))
}

// redfishError is ironic's RedfishError.
func redfishError(format string, args ...any) error {
	return store.Errorf(store.RedfishError, "Redfish exception occurred. Error: %s", fmt.Sprintf(format, args...))
}
