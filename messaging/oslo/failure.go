package oslo

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// tracebackMarker begins what ironic-api cuts off before it shows a failure's text to the user.
const tracebackMarker = "Traceback (most recent call last):\n"

// Failure is an exception on the wire. The caller rebuilds Class(*Args, **Kwargs).
type Failure struct {
	Class   string         `json:"class"`
	Module  string         `json:"module"`
	Message string         `json:"message"`
	TB      []string       `json:"tb"`
	Args    []string       `json:"args"`
	Kwargs  map[string]any `json:"kwargs"`
}

// ProtocolError is a failure of the RPC itself, before a handler runs: no such method, wrong version, wrong arguments.
type ProtocolError struct {
	module, class, message string
	// arg is the argument of the exception where that is not its text.
	arg string
}

func (e *ProtocolError) Error() string { return e.message }

// NoSuchMethod is the failure of calling a method that the worker does not offer.
func NoSuchMethod(method string) *ProtocolError {
	return &ProtocolError{module: dispatcherModule, class: "NoSuchMethod", message: "Endpoint does not support RPC method " + method}
}

// UnsupportedVersion is the failure of calling a method at a version that the worker does not serve.
func UnsupportedVersion(version, method string) *ProtocolError {
	return &ProtocolError{module: dispatcherModule, class: "UnsupportedVersion",
		message: fmt.Sprintf("Endpoint does not support RPC version %s. Attempted method: %s", version, method)}
}

func typeError(format string, args ...any) *ProtocolError {
	return Builtin("TypeError", format, args...)
}

// Builtin is the failure that Python raises as one of its own exceptions, such as TypeError.
func Builtin(class, format string, args ...any) *ProtocolError {
	return &ProtocolError{module: builtinsModule, class: class, message: fmt.Sprintf(format, args...)}
}

// KeyError is Python's failure of looking a key up in a dict.
func KeyError(key string) *ProtocolError {
	return &ProtocolError{module: builtinsModule, class: "KeyError", message: "'" + key + "'", arg: key}
}

// FailureOf turns an error into the exception that an API of the release can rebuild. A *store.Error in the chain keeps
// its kind and text; any other error becomes a plain Exception with the error's text, which the API answers with 500.
func FailureOf(err error, release messaging.Release) *Failure {
	f := &Failure{Module: builtinsModule, Class: "Exception", Message: err.Error(), Kwargs: map[string]any{}}
	var known *store.Error
	var protocol *ProtocolError
	switch {
	case errors.As(err, &protocol):
		f.Module, f.Class, f.Message = protocol.module, protocol.class, protocol.message
	case errors.As(err, &known):
		module, name := wireClass(known.Kind, release)
		f.Module, f.Class, f.Message = module, string(name), known.Message
		switch {
		case module != ironicModule:
		case known.Code != 0:
			// ironic JSON-encodes every format argument, so a code given by hand is a string.
			f.Kwargs["code"] = strconv.Itoa(known.Code)
		default:
			f.Kwargs["code"] = Code(known.Kind, release)
		}
	}
	qualified := f.Module + "." + f.Class
	if f.Module == builtinsModule {
		qualified = f.Class
	}
	f.Args = []string{f.Message}
	switch {
	case protocol != nil && protocol.arg != "":
		f.Args = []string{protocol.arg}
	case protocol == nil && known != nil && known.Argument != "":
		f.Args = []string{known.Argument}
	}
	f.TB = []string{tracebackMarker + qualified + ": " + f.Message + "\n"}
	return f
}

// Code is the HTTP code that ironic-api answers with.
func (f *Failure) Code() int {
	switch code := f.Kwargs["code"].(type) {
	case int:
		return code
	case string:
		if n, err := strconv.Atoi(code); err == nil {
			return n
		}
	}
	return http.StatusInternalServerError
}

// Known tells whether the class is one of ironic's own, which every client of it rebuilds.
func (f *Failure) Known() bool { return f.Module == ironicModule }

// Reply is the answer to a call.
type Reply struct {
	MsgID   string
	Result  json.RawMessage
	Failure *Failure
	// Ending is false for a keepalive of the call monitor.
	Ending bool
}

// EncodeReply returns the body of the one final reply to a call that succeeded; a nil result is null.
func EncodeReply(msgID string, result any) ([]byte, error) {
	return encodeReply(msgID, result, nil, true)
}

// EncodeKeepalive returns the body that tells a monitored caller that its call is still being worked on.
func EncodeKeepalive(msgID string) ([]byte, error) { return encodeReply(msgID, nil, nil, false) }

// EncodeFailure returns the body of the one final reply to a call that failed.
func EncodeFailure(msgID string, f *Failure) ([]byte, error) {
	text, err := encodeJSON(f)
	if err != nil {
		return nil, err
	}
	return encodeReply(msgID, nil, string(text), true)
}

func encodeReply(msgID string, result, failure any, ending bool) ([]byte, error) {
	return seal(struct {
		Result   any    `json:"result"`
		Failure  any    `json:"failure"`
		Ending   bool   `json:"ending"`
		MsgID    string `json:"_msg_id"`
		UniqueID string `json:"_unique_id"`
	}{result, failure, ending, msgID, newID()})
}

// DecodeReply reads the body of a reply.
func DecodeReply(body []byte) (*Reply, error) {
	f, err := unseal(body)
	if err != nil {
		return nil, err
	}
	r := &Reply{Result: f["result"]}
	if r.MsgID, err = f.text("_msg_id"); err != nil {
		return nil, err
	}
	if r.MsgID == "" {
		return nil, malformed("_msg_id", "is missing")
	}
	if raw, ok := f["ending"]; ok && json.Unmarshal(raw, &r.Ending) != nil {
		return nil, malformed("ending", "is not a boolean")
	}
	text, err := f.text("failure")
	if err != nil {
		return nil, err
	}
	if text != "" {
		if err := json.Unmarshal([]byte(text), &r.Failure); err != nil {
			return nil, malformed("failure", "is not the JSON text of an exception")
		}
	}
	return r, nil
}
