package rabbit

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"io"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

func TestInflate(t *testing.T) {
	text := []byte(`{"oslo.version": "2.0"}`)
	squeeze := func(w io.WriteCloser, b *bytes.Buffer) []byte {
		if _, err := w.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var z, g bytes.Buffer
	zlibbed, gzipped := squeeze(zlib.NewWriter(&z), &z), squeeze(gzip.NewWriter(&g), &g)
	// bz2.compress of the same text by Python; Go's library only reads that format.
	bz2ed, err := base64.StdEncoding.DecodeString(bz2Text)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		method any
		body   []byte
		limit  int
		ok     bool
	}{
		{nil, text, 10, true},
		{"application/x-gzip", zlibbed, 100, true},
		{"application/x-gzip", gzipped, 100, true},
		{"application/x-bz2", bz2ed, 100, true},
		{"application/x-gzip", zlibbed, len(text), true},
		{"application/x-gzip", zlibbed, len(text) - 1, false},
		{"application/x-gzip", text, 100, false},
		{"application/x-gzip", zlibbed[:10], 100, false},
		{"application/x-bz2", text, 100, false},
		{"application/zstd", text, 100, false},
	} {
		headers := amqp.Table{}
		if tc.method != nil {
			headers["compression"] = tc.method
		}
		got, err := inflate(headers, tc.body, tc.limit)
		if (err == nil) != tc.ok || tc.ok && !bytes.Equal(got, text) {
			t.Errorf("%v, %d bytes, limit %d: %q, %v", tc.method, len(tc.body), tc.limit, got, err)
		}
	}
}

const bz2Text = "QlpoOTFBWSZTWfPJmNsAAAqZgFABUBACJZkKIAAxTAATQiB6j1DZQK7eddJhuMJBMHw+LuSKcKEh55Mxtg=="
