package neutron

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/ironmaster/ironmaster/store"
)

// Failure is an answer of Neutron that refuses a request. Its text is that of OpenStack's SDK, which ironic's texts hold.
type Failure struct {
	Code int
	text string
}

// Error returns the SDK's text.
func (f *Failure) Error() string { return f.text }

// asFailure gives an error of the API its text.
func asFailure(err error) error {
	var answer gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &answer) {
		return err
	}
	class, source := "HttpException", "Server"
	switch answer.Actual {
	case http.StatusBadRequest:
		class = "BadRequestException"
	case http.StatusNotFound:
		class = "ResourceNotFound"
	case http.StatusConflict:
		class = "ConflictException"
	case http.StatusPreconditionFailed:
		class = "PreconditionFailedException"
	}
	if answer.Actual < http.StatusInternalServerError {
		source = "Client"
	}
	details := explanation(answer.Body)
	if details == "" {
		details = http.StatusText(answer.Actual)
	}
	return &Failure{answer.Actual, fmt.Sprintf("%s: %d: %s Error for url: %s, %s", class, answer.Actual, source, answer.URL, details)}
}

// explanation is the message of Neutron's error document: {"NeutronError": {"type", "message", "detail"}}.
func explanation(body []byte) string {
	var document map[string]struct{ Message string }
	if json.Unmarshal(body, &document) != nil {
		return ""
	}
	for _, e := range document {
		if e.Message != "" {
			return e.Message
		}
	}
	return ""
}

// missing tells that Neutron does not have what was asked for.
func missing(err error) bool {
	var f *Failure
	return errors.As(err, &f) && f.Code == http.StatusNotFound
}

// networkError is ironic's NetworkError with a text of its own.
func networkError(format string, args ...any) error {
	return store.Errorf(store.NetworkError, format, args...)
}
