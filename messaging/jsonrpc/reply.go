package jsonrpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
)

// The codes that JSON-RPC 2.0 reserves.
const (
	codeParse   = -32700
	codeInvalid = -32600
	codeMethod  = -32601
	codeParams  = -32602
)

// Error is a refusal of a request by the protocol itself.
type Error struct {
	Code    int
	Message string
}

func (e *Error) Error() string { return e.Message }

func invalidRequest() *Error {
	return &Error{Code: codeInvalid, Message: "Invalid request object received by RPC server"}
}

// failure is an error on the wire. Data names ironic's exception, which the caller then rebuilds.
type failure struct {
	Code    int          `json:"code"`
	Message string       `json:"message"`
	Data    *failureData `json:"data,omitempty"`
}

type failureData struct {
	Class string `json:"class"`
}

// EncodeResult returns the body of the answer to a call that succeeded; a nil result is null.
func (r *Request) EncodeResult(result any) ([]byte, error) {
	return encode(struct {
		Version string          `json:"jsonrpc"`
		Result  any             `json:"result"`
		ID      json.RawMessage `json:"id"`
	}{"2.0", result, r.ID})
}

// EncodeFailure returns the body of the answer to a call that failed, as a client of the release understands it. A nil
// request is one that could not be read.
func (r *Request) EncodeFailure(err error, release messaging.Release) ([]byte, error) {
	var id json.RawMessage
	if r != nil {
		id = r.ID
	}
	return encode(struct {
		Version string          `json:"jsonrpc"`
		ID      json.RawMessage `json:"id"`
		Error   failure         `json:"error"`
	}{"2.0", id, r.failure(err, release)})
}

func (r *Request) failure(err error, release messaging.Release) failure {
	var own *Error
	if errors.As(err, &own) {
		return failure{Code: own.Code, Message: own.Message}
	}
	f := oslo.FailureOf(err, release)
	var protocol *oslo.ProtocolError
	if errors.As(err, &protocol) && r != nil {
		switch f.Class {
		case "NoSuchMethod":
			return failure{Code: codeMethod, Message: fmt.Sprintf("Method %s was not found", r.Method)}
		case "TypeError":
			return failure{Code: codeParams,
				Message: fmt.Sprintf("Params %s are invalid for %s: %s", r.paramNames(), r.Method, f.Message)}
		}
	}
	out := failure{Code: f.Code(), Message: f.Message}
	if f.Known() {
		out.Data = &failureData{Class: f.Module + "." + f.Class}
	}
	return out
}

// encode is json.Marshal without HTML escapes, which Python does not write either.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
