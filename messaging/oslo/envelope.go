// Package oslo speaks the messages of oslo.messaging 2.0: requests, replies with their failures, and notifications,
// each a JSON text inside a JSON envelope. It does no I/O. The shapes are those recorded from ironic 21.4.
package oslo

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

const (
	envelopeVersion = "2.0"
	versionKey      = "oslo.version"
	messageKey      = "oslo.message"
)

// MalformedError tells which field of a message is wrong. It never quotes the field's value: that may be a secret.
type MalformedError struct {
	// Field is the key's name; "body" is the message as a whole.
	Field   string
	Problem string
	// MsgID and ReplyQ are the return address, empty when it could not be read or the message is a cast.
	MsgID, ReplyQ string
}

func (e *MalformedError) Error() string {
	return fmt.Sprintf("malformed message: %s %s", e.Field, e.Problem)
}

func malformed(field, format string, args ...any) *MalformedError {
	return &MalformedError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// seal puts the inner message into the envelope.
func seal(inner any) ([]byte, error) {
	text, err := encodeJSON(inner)
	if err != nil {
		return nil, err
	}
	return encodeJSON(struct {
		Version string `json:"oslo.version"`
		Message string `json:"oslo.message"`
	}{envelopeVersion, string(text)})
}

// unseal returns the fields of the inner message. A body without an envelope is the inner message itself, as the
// notification driver "messaging" sends it and as oslo.messaging accepts it.
func unseal(body []byte) (fields, error) {
	outer, err := parseObject("body", body)
	if err != nil {
		return nil, err
	}
	version, haveVersion := outer[versionKey]
	message, haveMessage := outer[messageKey]
	switch {
	case !haveVersion && !haveMessage:
		return outer, nil
	case !haveVersion:
		return nil, malformed(versionKey, "is missing")
	case !haveMessage:
		return nil, malformed(messageKey, "is missing")
	}
	v, ok := unquote(version)
	if !ok {
		return nil, malformed(versionKey, "is not a string")
	}
	if !Supports(envelopeVersion, v) {
		return nil, malformed(versionKey, "is not compatible with %s", envelopeVersion)
	}
	text, ok := unquote(message)
	if !ok {
		return nil, malformed(messageKey, "is not a string")
	}
	return parseObject(messageKey, []byte(text))
}

// encodeJSON is json.Marshal without HTML escapes, which Python does not write either.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// orNull turns "" into JSON's null.
func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// newID returns a fresh id in the form of _unique_id and _msg_id: 32 hexadecimal digits.
func newID() string {
	id := uuid.New()
	return hex.EncodeToString(id[:])
}

// Supports reports whether an endpoint of version target serves a request for version requested: the major numbers are
// equal and the minor requested is not above. A version that does not parse is not served.
func Supports(target, requested string) bool {
	t, okT := parseVersion(target)
	r, okR := parseVersion(requested)
	if !okT || !okR || t[0] != r[0] || r[1] > t[1] {
		return false
	}
	return r[1] < t[1] || r[2] <= t[2]
}

func parseVersion(s string) (v [3]int, ok bool) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return v, false
	}
	for i, part := range parts {
		if len(part) == 0 || len(part) > 6 {
			return v, false
		}
		for _, c := range []byte(part) {
			if c < '0' || c > '9' {
				return v, false
			}
			v[i] = v[i]*10 + int(c-'0')
		}
	}
	return v, true
}
