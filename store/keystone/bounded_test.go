package keystone

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestAnswersAreBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", len(r.URL.Path)))
	}))
	defer server.Close()
	client := &http.Client{Transport: &bounded{Transport: &http.Transport{}, limit: 8, content: func(r *http.Response) bool {
		return strings.HasSuffix(r.Request.URL.Path, "/file")
	}}}
	for path, want := range map[string]string{"/1234567": "", "/12345678": "the answer is longer than 8 bytes", "/1234567890/file": ""} {
		response, err := client.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		switch {
		case want == "" && (err != nil || len(got) != len(path)):
			t.Errorf("%s: read %d bytes, %v", path, len(got), err)
		case want != "" && (err == nil || err.Error() != want || len(got) != 8):
			t.Errorf("%s: read %d bytes, %v; want %s", path, len(got), err, want)
		}
	}
	client.CloseIdleConnections()
}
