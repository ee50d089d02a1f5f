package image

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// Ref names an image and the user on whose behalf it is read.
type Ref struct {
	// Href is a Glance UUID, glance://UUID, http(s)://... or file://...
	Href string
	// Requester is who asks. The zero value reads Glance with the service's own credentials.
	Requester Requester
}

// String returns the href without secrets.
func (r Ref) String() string { return Redact(r.Href) }

// GoString keeps the token out of %#v.
func (r Ref) GoString() string { return fmt.Sprintf("image.Ref{%q}", r.String()) }

// Requester is the part of a request context that Glance wants to see.
type Requester struct {
	// Token is the user's Keystone token, empty with auth_strategy = noauth. A secret.
	Token string
	// ProjectID is the user's project; without a token it decides which private images may be read.
	ProjectID string
	// RequestID is the global request id, passed on for tracing.
	RequestID string
}

// RequesterOf is who asked for a task's work.
func RequesterOf(t *drivers.Task) Requester {
	return Requester{Token: t.AuthToken, RequestID: cmp.Or(t.GlobalRequestID, t.RequestID)}
}

// String keeps the token out of logs.
func (r Requester) String() string { return "project " + r.ProjectID }

// GoString keeps the token out of %#v.
func (r Requester) GoString() string { return fmt.Sprintf("image.Requester{%q}", r.ProjectID) }

// Origin is the kind of place that an image comes from.
type Origin string

// The places that an image comes from.
const (
	OriginGlance Origin = "glance"
	OriginHTTP   Origin = "http"
	OriginFile   Origin = "file"
)

// ParseOrigin tells where href points to. It refuses with ImageRefValidationFailed what no service can read, in ironic's
// words.
func ParseOrigin(href string) (Origin, error) {
	scheme, _, found := strings.Cut(href, ":")
	if !found || !isScheme(scheme) {
		if isUUID(href) {
			return OriginGlance, nil
		}
		return "", refInvalid(href, "Scheme-less image href is not a UUID.")
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "http", "https":
		if u, err := url.Parse(href); err != nil || u.Host == "" {
			return "", refInvalid(href, "the URL names no host or is malformed.")
		}
		return OriginHTTP, nil
	case "file":
		return OriginFile, nil
	case "glance":
		return OriginGlance, nil
	}
	return "", refInvalid(href, "Image download protocol %s is not supported.", scheme)
}

// IsGlance reports whether href names a Glance image, as ironic decides it.
func IsGlance(href string) bool {
	return strings.HasPrefix(href, "glance://") || isUUID(href)
}

// glanceID returns the UUID in a Glance href.
func glanceID(href string) (string, error) {
	id := href
	if strings.HasPrefix(href, "glance://") {
		id = href[strings.LastIndexByte(href, '/')+1:]
	}
	if !isUUID(id) {
		return "", store.Errorf(store.InvalidImageRef, "Invalid image href %s.", Redact(href))
	}
	return id, nil
}

// isScheme follows RFC 3986 §3.1.
func isScheme(s string) bool {
	for i, r := range s {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789+-.", r)) {
			return false
		}
	}
	return s != ""
}

// isUUID is oslo.utils' is_uuid_like: dashes, braces, case and urn:uuid: do not matter.
func isUUID(s string) bool {
	plain := strings.NewReplacer("urn:", "", "uuid:", "", "{", "", "}", "", "-", "").Replace(s)
	if len(plain) != 32 {
		return false
	}
	_, err := uuid.Parse(plain)
	return err == nil
}
