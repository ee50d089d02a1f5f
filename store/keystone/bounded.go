package keystone

import (
	"fmt"
	"io"
	"net/http"
)

// maxAnswer bounds what is read of one answer of a service, in bytes: far more than the largest list that is asked for.
const maxAnswer = 64 << 20

// bounded is a transport that ends answers which are longer than any that makes sense, so that no service, and nobody in its place,
// fills the worker's memory.
type bounded struct {
	*http.Transport
	limit int64
	// content tells that an answer is content that its reader bounds, nil for none.
	content func(*http.Response) bool
}

// RoundTrip is http.RoundTripper.
func (b *bounded) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := b.Transport.RoundTrip(request)
	if err != nil || b.content != nil && b.content(response) {
		return response, err
	}
	response.Body = &boundedBody{ReadCloser: response.Body, left: b.limit, limit: b.limit}
	return response, nil
}

// boundedBody fails where an answer goes on beyond its limit.
type boundedBody struct {
	io.ReadCloser
	left, limit int64
}

func (b *boundedBody) Read(into []byte) (int, error) {
	// One byte more tells an answer that is too long from one that ends here.
	if int64(len(into)) > b.left+1 {
		into = into[:b.left+1]
	}
	n, err := b.ReadCloser.Read(into)
	if int64(n) > b.left {
		n = int(b.left)
		err = fmt.Errorf("the answer is longer than %d bytes", b.limit)
	}
	b.left -= int64(n)
	return n, err
}

// NewClient returns what services of OpenStack are asked with. Of each answer 64 MiB are read at most, but for those that content, where
// it is given, tells to be for a reader with a limit of its own.
func NewClient(transport *http.Transport, content func(*http.Response) bool) *http.Client {
	return &http.Client{Transport: &bounded{Transport: transport, limit: maxAnswer, content: content}}
}
