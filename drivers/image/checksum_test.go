package image

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

var (
	md5Sum    = strings.Repeat("a1", 16)
	sha256Sum = strings.Repeat("B2", 32)
	sha512Sum = strings.Repeat("c3", 64)
)

func TestParseChecksum(t *testing.T) {
	on, off := ChecksumConfig{AllowMD5: true}, ChecksumConfig{}
	tests := []struct {
		cfg         ChecksumConfig
		value, algo string
		want        Checksum
		kind        store.Kind
	}{
		{on, md5Sum, "", Checksum{"md5", md5Sum}, ""},
		{off, md5Sum, "", Checksum{}, store.ImageChecksumAlgorithmFailure},
		{off, "md5:" + md5Sum, "", Checksum{}, store.ImageChecksumAlgorithmFailure},
		{off, sha256Sum, "", Checksum{"sha256", strings.ToLower(sha256Sum)}, ""},
		{on, sha512Sum, "", Checksum{"sha512", sha512Sum}, ""},
		{on, "SHA256:" + sha256Sum, "", Checksum{"sha256", strings.ToLower(sha256Sum)}, ""},
		{on, sha256Sum, "sha3_256", Checksum{"sha3_256", strings.ToLower(sha256Sum)}, ""},
		{on, sha256Sum, "SHA256", Checksum{"sha256", strings.ToLower(sha256Sum)}, ""},
		{on, "sha256:", "", Checksum{}, store.ImageChecksumError},
		{on, "", "sha256", Checksum{}, store.ImageChecksumError},
		{on, "zz", "sha256", Checksum{}, store.ImageChecksumError},
		{on, "abcd", "", Checksum{}, store.ImageChecksumError},
		{on, md5Sum, "sha256", Checksum{}, store.ImageChecksumError},
		{on, sha256Sum, "crc32", Checksum{}, store.ImageChecksumAlgorithmFailure},
	}
	for _, tt := range tests {
		got, err := tt.cfg.ParseChecksum(tt.value, tt.algo)
		if got != tt.want || store.KindOf(err) != tt.kind {
			t.Errorf("%.20q %q: got %v, %v, want %v, %q", tt.value, tt.algo, got, err, tt.want, tt.kind)
		}
	}
}

func TestValidateChecksum(t *testing.T) {
	s := newTestService(t, testConfig(t, nil))
	const url = "https://host/disk.qcow2"
	tests := []struct {
		instance store.Dict
		ok       bool
	}{
		{store.Dict{"image_source": url}, false},
		{store.Dict{"image_source": url, "image_checksum": md5Sum}, true},
		{store.Dict{"image_source": url, "image_os_hash_value": sha256Sum}, false},
		{store.Dict{"image_source": url, "image_os_hash_algo": "sha256"}, false},
		{store.Dict{"image_source": url, "image_os_hash_algo": "sha256", "image_checksum": md5Sum}, false},
		{store.Dict{"image_source": url, "image_os_hash_algo": "sha256", "image_os_hash_value": sha256Sum}, true},
		{store.Dict{"image_source": imageID}, true},
		{store.Dict{"image_source": "file:///x"}, true},
	}
	for _, tt := range tests {
		err := s.ValidateChecksum(tt.instance, nodeID)
		if (err == nil) != tt.ok {
			t.Errorf("%v: %v", tt.instance, err)
		}
		if !tt.ok {
			wantKind(t, err, store.MissingParameterValue, "must be provided in instance_info for node "+nodeID)
		}
	}
}

func TestFindChecksum(t *testing.T) {
	lower := strings.ToLower(sha256Sum)
	tests := []struct{ name, text, want, wrong string }{
		{"alone", sha512Sum + "\n", sha512Sum, ""},
		{"gnu text", "# list\n" + md5Sum + "  other.img\n" + lower + "  disk.img\n", lower, ""},
		{"gnu binary", lower + " *disk.img\r\n" + md5Sum + " *x.img\r\n", lower, ""},
		{"bsd", "SHA256 (other.img) = " + md5Sum + "\nSHA256 (disk.img) = " + lower, lower, ""},
		{"file name is no pattern", lower + "  diskximg\n" + md5Sum + "  disk.img\n", md5Sum, ""},
		{"comment", "# " + md5Sum + "  disk.img\n" + lower + "  disk.img", lower, ""},
		{"empty", " \n\n", "", "Checksum file empty."},
		{"one word", "hello", "", "Invalid checksum file (No valid checksum found)"},
		{"not named", lower + "  a.img\n" + md5Sum + "  b.img", "", "Checksum file does not contain name disk.img"},
		{"named without digest", "disk.img 12\nx y", "", "Checksum file does not contain name disk.img"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := findChecksum(tt.text, "disk.img")
			if got != tt.want || (tt.wrong != "" && (err == nil || err.Error() != tt.wrong)) {
				t.Errorf("got %q, %v, want %q, %q", got, err, tt.want, tt.wrong)
			}
		})
	}
}

func TestChecksumOfInstance(t *testing.T) {
	lower := strings.ToLower(sha256Sum)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/SUMS":
			fmt.Fprintf(w, "%s  other\n%s  disk.qcow2\n", md5Sum, lower)
		case "/big":
			w.Write(make([]byte, maxChecksumFile+1))
		default:
			http.NotFound(w, r)
		}
	}))
	defer web.Close()
	s := newTestService(t, testConfig(t, nil))
	source := "http://host/path/disk.qcow2?sig=1"

	got, err := s.Checksum(t.Context(), store.Dict{"image_source": source, "image_checksum": web.URL + "/SUMS"})
	if err != nil || got != (Checksum{"sha256", lower}) {
		t.Errorf("from a file: %v, %v", got, err)
	}
	got, err = s.Checksum(t.Context(), store.Dict{"image_checksum": md5Sum, "image_os_hash_algo": "sha512", "image_os_hash_value": sha512Sum})
	if err != nil || got.Algo != "sha512" {
		t.Errorf("image_os_hash_value must win: %v, %v", got, err)
	}
	if got, err = s.Checksum(t.Context(), store.Dict{"image_source": "file:///x"}); err != nil || !got.IsZero() {
		t.Errorf("none given: %v, %v", got, err)
	}
	_, err = s.Checksum(t.Context(), store.Dict{"image_source": source, "image_checksum": web.URL + "/none"})
	wantKind(t, err, store.ImageRefValidationFailed, "Got HTTP code 404 instead of 200 in response to GET request.")
	_, err = s.Checksum(t.Context(), store.Dict{"image_source": source, "image_checksum": web.URL + "/big"})
	wantKind(t, err, store.ImageDownloadFailed, "larger than")
	_, err = s.Checksum(t.Context(), store.Dict{"image_source": "http://h/unknown", "image_checksum": web.URL + "/SUMS"})
	wantKind(t, err, store.ImageDownloadFailed, "Failed to download image "+web.URL+"/SUMS, reason: Checksum file does not contain name unknown")

	cfg := testConfig(t, nil)
	cfg.Checksum.DisableFiles = true
	_, err = newTestService(t, cfg).Checksum(t.Context(), store.Dict{"image_checksum": web.URL + "/SUMS"})
	wantKind(t, err, "ImageChecksumURLNotSupported", "Use of remote checksum files is not supported.")
}

func FuzzFindChecksum(f *testing.F) {
	f.Add("SHA256 (disk.img) = "+sha256Sum, "disk.img")
	f.Add(md5Sum+" *disk.img\n", "disk.img")
	f.Add(sha512Sum, "")
	f.Add("\x00(", "(")
	f.Fuzz(func(t *testing.T, text, name string) {
		sum, err := findChecksum(text, name)
		if err != nil {
			return
		}
		if _, err := (ChecksumConfig{AllowMD5: true}).ParseChecksum(sum, ""); err != nil {
			t.Errorf("accepted %q: %v", sum, err)
		}
	})
}
