package image

import (
	"errors"
	"io"
	"net/url"

	"github.com/ironmaster/ironmaster/store"
)

// Kinds of ironic.common.exception that only images raise.
const (
	kindInsufficientMemory          store.Kind = "InsufficientMemory"
	kindImageChecksumURLUnsupported store.Kind = "ImageChecksumURLNotSupported"
)

// refInvalid is ironic's ImageRefValidationFailed.
func refInvalid(href, format string, args ...any) error {
	reason := store.Errorf(store.ImageRefValidationFailed, format, args...)
	return store.Errorf(store.ImageRefValidationFailed,
		"Validation of image href %s failed, reason: %w", Redact(href), reason)
}

// downloadFailed is ironic's ImageDownloadFailed.
func downloadFailed(href string, cause error) error {
	return store.Errorf(store.ImageDownloadFailed,
		"Failed to download image %s, reason: %w", Redact(href), peerError(cause))
}

// unusable is ironic's InvalidImage followed by what is wrong with the image, which ironic leaves to its log.
func unusable(href, format string, args ...any) error {
	reason := store.Errorf(store.InvalidImage, format, args...)
	return store.Errorf(store.InvalidImage,
		"The requested image is not valid for use. Image %s: %w", Redact(href), reason)
}

// Redact returns href without what may be secret: user information, and the values of a query, which in temporary URLs
// are signatures.
func Redact(href string) string {
	u, err := url.Parse(href)
	if err != nil {
		return "(malformed URL)"
	}
	if u.Scheme == "" {
		return href
	}
	u.User = nil
	if u.RawQuery != "" {
		u.RawQuery = "..."
	}
	return u.String()
}

// peerError drops the URL, with its secrets, that net/http puts into its errors, and words a truncated body.
func peerError(err error) error {
	if service, away := store.AwayService(err); away {
		return store.Away(service, withoutURL(err))
	}
	return withoutURL(err)
}

func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errTruncated
	}
	return err
}

var errTruncated = errors.New("the connection was closed before the whole image had arrived")

// hostOf names the server of a URL.
func hostOf(href string) string {
	u, err := url.Parse(href)
	if err != nil {
		return "web server"
	}
	return u.Host
}

// isUserError reports whether err already carries a kind.
func isUserError(err error) bool { return store.KindOf(err) != "" }
