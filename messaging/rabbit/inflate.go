package rabbit

import (
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"

	amqp "github.com/rabbitmq/amqp091-go"
)

// inflate returns a message's body uncompressed. kombu names the method in the header "compression"; what it calls gzip
// is zlib's format. At most limit bytes are taken: a small body can inflate to anything.
func inflate(headers amqp.Table, body []byte, limit int) ([]byte, error) {
	method, _ := headers["compression"].(string)
	var r io.Reader
	var err error
	switch method {
	case "":
		return body, nil
	case "application/x-gzip", "gzip", "zlib":
		if bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
			r, err = gzip.NewReader(bytes.NewReader(body))
		} else {
			r, err = zlib.NewReader(bytes.NewReader(body))
		}
	case "application/x-bz2", "bz2", "bzip2":
		r = bzip2.NewReader(bytes.NewReader(body))
	default:
		return nil, fmt.Errorf("compression %q is not supported", method)
	}
	if err != nil {
		return nil, fmt.Errorf("inflating a message: %w", err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, int64(limit)+1))
	if err != nil {
		return nil, fmt.Errorf("inflating a message: %w", err)
	}
	if len(plain) > limit {
		return nil, fmt.Errorf("a message of %d bytes inflates to more than %d bytes", len(body), limit)
	}
	return plain, nil
}
