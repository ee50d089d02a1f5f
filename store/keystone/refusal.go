package keystone

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/gophercloud/gophercloud/v2"
)

// refusal is a service's refusal in other words.
type refusal struct {
	error
	text string
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.error }

// Refusal gives a service's refusal the text that OpenStack's SDK has for it, in which notFound is the name of the class of those with
// code 404. Other errors stay what they are.
func Refusal(err error, notFound string) error {
	var answer gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &answer) {
		return err
	}
	class, known := map[int]string{http.StatusBadRequest: "BadRequestException", http.StatusForbidden: "ForbiddenException",
		http.StatusNotFound: notFound, http.StatusConflict: "ConflictException",
		http.StatusPreconditionFailed: "PreconditionFailedException"}[answer.Actual]
	if !known {
		class = "HttpException"
	}
	return RefusalOf(err, fmt.Sprintf("%s: %d", class, answer.Actual))
}

// RefusalOf is Refusal where the SDK says what was refused in place of class and code.
func RefusalOf(err error, what string) error {
	var answer gophercloud.ErrUnexpectedResponseCode
	if !errors.As(err, &answer) {
		return err
	}
	source := "Client"
	if answer.Actual >= http.StatusInternalServerError {
		source = "Server"
	}
	return refusal{err, fmt.Sprintf("%s: %s Error for url: %s, %s", what, source, answer.URL, Said(answer))}
}

// Said is what a service said of a refusal, or what its code means.
func Said(answer gophercloud.ErrUnexpectedResponseCode) string {
	var document map[string]json.RawMessage
	var said []string
	if json.Unmarshal(answer.Body, &document) == nil {
		for _, kind := range slices.Sorted(maps.Keys(document)) {
			var about struct{ Message string }
			if json.Unmarshal(document[kind], &about) == nil && about.Message != "" {
				said = append(said, about.Message)
			}
		}
	}
	if len(said) == 0 {
		return http.StatusText(answer.Actual)
	}
	return strings.Join(said, "\n")
}
