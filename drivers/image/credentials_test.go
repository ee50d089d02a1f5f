package image

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestCredentialsAreForSomeServers(t *testing.T) {
	listed := Credentials{User: "u", Hosts: []string{"images.example.org", ".lan.example.org"}, AnyHost: true}
	for _, c := range []struct {
		name        string
		credentials Credentials
		href        string
		want        bool
	}{
		{"none there", Credentials{AnyHost: true}, "http://images.example.org/a", false},
		{"any server", Credentials{User: "u", AnyHost: true}, "http://elsewhere.example.net/a", true},
		{"no unknown server", Credentials{User: "u"}, "http://elsewhere.example.net/a", false},
		{"a listed one", listed, "https://images.example.org/a", true},
		{"at a port", listed, "http://images.example.org:8080/a", true},
		{"in capitals", listed, "http://IMAGES.example.org/a", true},
		{"below a listed domain", listed, "http://a.b.lan.example.org/a", true},
		{"the domain itself", listed, "http://lan.example.org/a", false},
		{"a name that ends alike", listed, "http://evilimages.example.org/a", false},
		{"a listed name before the real one", listed, "http://images.example.org@elsewhere.example.net/a", false},
		{"another", listed, "http://elsewhere.example.net/images.example.org", false},
		{"no server", listed, "http:///a", false},
		{"no URL", listed, "http://images.example.org:port/a", false},
	} {
		if got := c.credentials.For(c.href); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// A server that is not listed sees no password, not even when a listed one sends the request on to it.
func TestCredentialsStayWithTheirServer(t *testing.T) {
	seen := map[string]bool{}
	var other *httptest.Server
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		_, _, seen[r.Host+r.URL.Path] = r.BasicAuth()
		if r.URL.Path == "/away" {
			http.Redirect(w, r, other.URL+"/arrived", http.StatusFound)
		}
	})
	listed := httptest.NewServer(mux)
	defer listed.Close()
	other = httptest.NewServer(mux)
	defer other.Close()
	// One address, two names.
	listedURL := "http://localhost" + listed.URL[len("http://127.0.0.1"):]
	h, err := newHTTPSource(HTTPConfig{Verify: true, Credentials: Credentials{User: "u", Password: "p", Hosts: []string{"localhost"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer h.close()
	for _, href := range []string{listedURL + "/a", listedURL + "/away", other.URL + "/b"} {
		if _, err := h.head(t.Context(), href); err != nil {
			t.Fatal(err)
		}
	}
	for where, want := range map[string]bool{listedURL[7:] + "/a": true, listedURL[7:] + "/away": true, other.URL[7:] + "/arrived": false,
		other.URL[7:] + "/b": false} {
		if got, asked := seen[where]; !asked || got != want {
			t.Errorf("%s: asked %v, with a password %v", where, asked, got)
		}
	}
}
