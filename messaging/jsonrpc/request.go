// Package jsonrpc speaks ironic's JSON-RPC: one request in each HTTP POST, as ironic-api sends them with
// rpc_transport = json-rpc. It is JSON-RPC 2.0 without batches and without positional parameters. The shapes are those
// recorded from ironic 21.4.
package jsonrpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/ironmaster/ironmaster/messaging/oslo"
)

// Parameters that are not arguments of the method.
const (
	contextParam = "context"
	versionParam = "rpc.version"
)

// Request is one call, or a cast when it has no ID. The version that its method came with is not looked at: upstream
// does not look at it either.
type Request struct {
	oslo.Request
	// ID is repeated in the answer as it came; nil for a cast.
	ID json.RawMessage

	params json.RawMessage
}

// IsCall tells whether the sender waits for a result.
func (r *Request) IsCall() bool { return r.ID != nil }

// Decode reads a body. The error is an *Error. The request comes with it where it could be read far enough to tell what
// its answer has to repeat, and whether there is to be one.
func Decode(body []byte) (*Request, error) {
	var fields map[string]json.RawMessage
	err := json.Unmarshal(body, &fields)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax) || !utf8.Valid(body):
		return nil, &Error{Code: codeParse, Message: "Invalid JSON received by RPC server"}
	case err != nil || fields == nil:
		return nil, invalidRequest()
	}
	r := &Request{Request: oslo.Request{Version: "1.0", Args: map[string]json.RawMessage{}}}
	if id, ok := fields["id"]; ok && !isNull(id) {
		r.ID = id
	}
	var version string
	if json.Unmarshal(fields["jsonrpc"], &version) != nil || version != "2.0" ||
		json.Unmarshal(fields["method"], &r.Method) != nil || r.Method == "" {
		return r.answered(), invalidRequest()
	}
	if params, ok := fields["params"]; ok {
		if json.Unmarshal(params, &r.Args) != nil || r.Args == nil {
			return r.answered(), invalidRequest()
		}
		r.params = params
	}
	return r, r.takeContext()
}

// answered makes sure that a request which is none is answered, whether it has an id or not.
func (r *Request) answered() *Request {
	if r.ID == nil {
		r.ID = json.RawMessage("null")
	}
	return r
}

// takeContext takes out of the parameters what is not an argument.
func (r *Request) takeContext() error {
	raw, ok := r.Args[contextParam]
	delete(r.Args, contextParam)
	delete(r.Args, versionParam)
	if !ok {
		r.NoContext = true
		return nil
	}
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil || values == nil {
		return &Error{Code: codeParams, Message: "Context must be a dictionary, if provided"}
	}
	r.Context = oslo.ParseContext(values)
	return nil
}

// paramNames lists the parameters as upstream does: in the order of the request, the context last.
func (r *Request) paramNames() string {
	var names []string
	dec := json.NewDecoder(bytes.NewReader(r.params))
	_, _ = dec.Token() // The opening brace.
	for dec.More() {
		name, err := dec.Token()
		var value json.RawMessage
		if err != nil || dec.Decode(&value) != nil {
			break
		}
		if text, _ := name.(string); text != contextParam && text != versionParam {
			names = append(names, text)
		}
	}
	if !r.NoContext {
		names = append(names, contextParam)
	}
	return strings.Join(names, ", ")
}

func isNull(raw json.RawMessage) bool { return string(bytes.TrimSpace(raw)) == "null" }
