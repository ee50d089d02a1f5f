package storage

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// answering is a Cinder that gives one answer to whoever asks for a volume, and another one to all else.
type answering struct {
	code           int
	volume, action []byte
}

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) {
	code, text := a.code, a.action
	if r.Method == http.MethodGet {
		code, text = http.StatusOK, a.volume
	}
	return &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(bytes.NewReader(text))}, nil
}

// Whatever Cinder answers, volumes are attached and detached or a StorageError tells why not, and how one is reached is written down with
// the volume that it is.
func FuzzCinder(f *testing.F) {
	seed := func(name string) []byte {
		text, err := os.ReadFile(filepath.Join("cindertest", name))
		if err != nil {
			f.Fatal(err)
		}
		return bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("ATTACHMENTS"), []byte("[]")), []byte("STATUS"), []byte("attaching"))
	}
	for _, code := range []int{200, 202, 400, 404, 500} {
		f.Add(code, seed("volume.json"), seed("connection.json"))
		f.Add(code, []byte(`{"volume": null}`), []byte(`{"connection_info": {"data": null}}`))
		f.Add(code, []byte(`{"volume": {"attachments": [null, {"server_id": "`+nodeUUID+`"}], "status": 7}}`), []byte(`[]`))
		f.Add(code, []byte(`{"volume": {"attachments": [{"server_id": "`+nodeUUID+`"}]}}`), []byte(`{"badRequest": {"message": ["x"]}}`))
	}
	f.Fuzz(func(t *testing.T, code int, volume, action []byte) {
		if code < 200 || code > 599 {
			return
		}
		c, task := bench(t, newBlock(t), code%2 == 0)
		c.http.Transport = answering{code, volume, action}
		if err := c.AttachVolumes(t.Context(), task); err != nil && store.KindOf(err) != store.StorageError {
			t.Errorf("attaching: %v", err)
		}
		for _, target := range task.Worker.(*worker).saved {
			if _, told := target.Properties["volume_id"]; !told {
				t.Errorf("the properties of a volume target are %v", target.Properties)
			}
		}
		if err := c.DetachVolumes(t.Context(), task); err != nil && store.KindOf(err) != store.StorageError {
			t.Errorf("detaching: %v", err)
		}
	})
}
