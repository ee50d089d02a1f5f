package oslo

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// DefaultMaxSize is the number of bytes of a message body that a worker accepts unless configured otherwise. Config
// drives travel inside requests, which is why it is not smaller.
const DefaultMaxSize = 8 << 20

// Request is one RPC call or cast. Requests of JSON-RPC take this form too (messaging/jsonrpc), without oslo's return
// address.
type Request struct {
	Method    string
	Args      map[string]json.RawMessage
	Version   string
	Namespace string
	Context   Context
	// NoContext tells that a request came without a context, which oslo's never do and every method asks for.
	NoContext bool
	// MsgID and ReplyQ are set for a call: somebody waits for exactly one reply with Ending.
	MsgID, ReplyQ string
	// Timeout is the caller's call monitor in seconds, nil without one. A call that takes longer must send a keepalive
	// every half of it.
	Timeout *float64
	// UniqueID is the same for every delivery of the same request; "" when the sender gave none.
	UniqueID string
}

// IsCall reports whether the sender waits for a reply.
func (r *Request) IsCall() bool { return r.MsgID != "" && r.ReplyQ != "" }

// TooLargeError refuses a message by its size. It carries the return address so that the caller can be told.
type TooLargeError struct {
	Size, Max     int
	MsgID, ReplyQ string
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the message has %d bytes, more than the %d bytes accepted", e.Size, e.Max)
}

// Unwrap makes the refusal a failure that the user sees as a bad request.
func (e *TooLargeError) Unwrap() error {
	return store.Errorf(store.InvalidParameterValue, "%s", e.Error())
}

// Unwrap makes the refusal a failure that the user sees as a bad request.
func (e *MalformedError) Unwrap() error {
	return store.Errorf(store.InvalidParameterValue, "%s", e.Error())
}

// ReturnAddress is where the sender of a message waits that DecodeRequest refused, as far as it could be read.
func ReturnAddress(refusal error) (msgID, replyQ string) {
	var large *TooLargeError
	var bad *MalformedError
	switch {
	case errors.As(refusal, &large):
		return large.MsgID, large.ReplyQ
	case errors.As(refusal, &bad):
		return bad.MsgID, bad.ReplyQ
	}
	return "", ""
}

// DecodeRequest reads a message body of at most maxSize bytes. The error is a *TooLargeError or a *MalformedError; both
// carry the return address when it can be read, so that a caller is never left waiting.
func DecodeRequest(body []byte, maxSize int) (*Request, error) {
	f, err := unseal(body)
	if err != nil {
		if len(body) > maxSize {
			return nil, &TooLargeError{Size: len(body), Max: maxSize}
		}
		return nil, err
	}
	msgID, errID := f.text("_msg_id")
	replyQ, errQ := f.text("_reply_q")
	if len(body) > maxSize {
		return nil, &TooLargeError{Size: len(body), Max: maxSize, MsgID: msgID, ReplyQ: replyQ}
	}
	for _, err := range []error{errID, errQ} {
		if err != nil {
			return nil, err
		}
	}
	r, err := f.request()
	if err != nil {
		bad := *err.(*MalformedError)
		bad.MsgID, bad.ReplyQ = msgID, replyQ
		return nil, &bad
	}
	if msgID != "" && replyQ == "" {
		return nil, malformed("_reply_q", "is missing although _msg_id asks for a reply")
	}
	r.MsgID, r.ReplyQ = msgID, replyQ
	return r, nil
}

func (f fields) request() (*Request, error) {
	r := &Request{Version: "1.0", Args: map[string]json.RawMessage{}, Context: f.context()}
	var err error
	for _, field := range []struct {
		key  string
		into *string
	}{{"method", &r.Method}, {"version", &r.Version}, {"namespace", &r.Namespace}, {"_unique_id", &r.UniqueID}} {
		text, e := f.text(field.key)
		if e != nil {
			return nil, e
		}
		if text != "" {
			*field.into = text
		}
	}
	if r.Method == "" {
		return nil, malformed("method", "is missing")
	}
	if raw, ok := f["args"]; ok && !isNull(raw) {
		var args fields
		if args, err = parseObject("args", raw); err != nil {
			return nil, err
		}
		r.Args = args
	}
	if raw, ok := f["_timeout"]; ok && !isNull(raw) {
		var seconds float64
		if json.Unmarshal(raw, &seconds) != nil {
			return nil, malformed("_timeout", "is not a number")
		}
		r.Timeout = &seconds
	}
	return r, nil
}

// Encode returns the message body. A request without UniqueID gets a fresh one.
func (r *Request) Encode() ([]byte, error) {
	inner := map[string]any{"method": r.Method, "args": r.Args, "version": r.Version, "_unique_id": r.UniqueID}
	if r.Args == nil {
		inner["args"] = map[string]any{}
	}
	if r.UniqueID == "" {
		inner["_unique_id"] = newID()
	}
	if r.Namespace != "" {
		inner["namespace"] = r.Namespace
	}
	if r.IsCall() {
		inner["_msg_id"], inner["_reply_q"], inner["_timeout"] = r.MsgID, r.ReplyQ, r.Timeout
	}
	r.Context.flatten(inner)
	return seal(inner)
}

// CheckArgs holds the arguments against a method's parameters and returns the failure that Python's call would raise.
// An argument that is present may still be null.
func (r *Request) CheckArgs(required, optional []string) error {
	for _, name := range []string{"context", "self"} {
		if _, twice := r.Args[name]; twice {
			return typeError("ConductorManager.%s() got multiple values for argument '%s'", r.Method, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Args)) {
		if !slices.Contains(required, name) && !slices.Contains(optional, name) {
			return typeError("ConductorManager.%s() got an unexpected keyword argument '%s'", r.Method, name)
		}
	}
	var missing []string
	if r.NoContext {
		missing = append(missing, "'context'")
	}
	for _, name := range required {
		if _, ok := r.Args[name]; !ok {
			missing = append(missing, "'"+name+"'")
		}
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return typeError("ConductorManager.%s() missing 1 required positional argument: %s", r.Method, missing[0])
	case 2:
		return typeError("ConductorManager.%s() missing 2 required positional arguments: %s", r.Method,
			strings.Join(missing, " and "))
	}
	last := len(missing) - 1
	return typeError("ConductorManager.%s() missing %d required positional arguments: %s, and %s", r.Method, len(missing),
		strings.Join(missing[:last], ", "), missing[last])
}
