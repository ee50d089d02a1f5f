package image

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
	"github.com/ironmaster/ironmaster/store/keystone"
)

func TestGlanceShow(t *testing.T) {
	glance := newFakeGlance(t)
	glance.add(imageID, []byte("contents"), map[string]any{"name": "cirros", "os_hash_algo": "sha256",
		"os_hash_value": "ab", "checksum": "cd", "kernel_id": "k", "os_hidden": false, "virtual_size": 1 << 40,
		"mappings": `[{"device": "sda"}]`})
	s := newTestService(t, testConfig(t, glance))
	got, err := s.Show(t.Context(), Ref{Href: imageID, Requester: Requester{RequestID: "req-1"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Metadata{Origin: OriginGlance, Name: "cirros", Status: "active", Visibility: "public",
		Tags: []string{"a"}, DiskFormat: "raw", ContainerFormat: "bare", Size: 8,
		Checksum: "cd", HashAlgo: "sha256", HashValue: "ab", UpdatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Properties: store.Dict{"kernel_id": "k", "os_hidden": false, "virtual_size": json.Number("1099511627776"),
			"mappings": []any{map[string]any{"device": "sda"}}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if id := glance.headers[0].Get("X-Openstack-Request-Id"); id != "req-1" {
		t.Errorf("the request id was not passed on: %q", id)
	}
}

func TestGlanceErrors(t *testing.T) {
	const other = "99999999-2222-3333-4444-555555555555"
	tests := []struct {
		name    string
		href    string
		fail    []int
		retries int
		kind    store.Kind
		text    string
	}{
		{"missing", other, nil, 0, store.ImageNotFound, "Image " + other + " could not be found."},
		{"forbidden", imageID, []int{403}, 3, store.ImageNotAuthorized, "Not authorized for image " + imageID + "."},
		{"unauthorized", imageID, []int{401}, 3, store.ImageNotAuthorized, "Not authorized"},
		{"bad request", imageID, []int{400}, 3, store.Invalid, "refuses"},
		{"unavailable", imageID, []int{503}, 0, store.GlanceConnectionFailed, "Connection to glance endpoint http://127"},
		{"broken for too long", imageID, []int{503, 500, 503}, 2, store.GlanceConnectionFailed, "HTTP code 503"},
		{"broken for a while", imageID, []int{503, 503}, 2, "", ""},
		{"malformed", "glance://host/nothing", nil, 0, store.InvalidImageRef, "Invalid image href glance://host/nothing."},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			glance := newFakeGlance(t)
			glance.add(imageID, []byte("x"), nil)
			glance.fail = tt.fail
			cfg := testConfig(t, glance)
			cfg.Glance.Retries = tt.retries
			_, err := newTestService(t, cfg).Show(t.Context(), Ref{Href: tt.href})
			if tt.kind == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantKind(t, err, tt.kind, tt.text)
		})
	}
	_, err := newTestService(t, testConfig(t, nil)).Show(t.Context(), Ref{Href: imageID})
	wantKind(t, err, store.GlanceConnectionFailed, "connection refused")
}

func TestGlanceAvailability(t *testing.T) {
	glance := newFakeGlance(t)
	alone := newTestService(t, testConfig(t, glance))
	cfg := testConfig(t, glance)
	cfg.Glance.AuthType, cfg.Glance.AuthURL = keystone.AuthPassword, newFakeKeystone(t, glance.URL).URL
	cfg.Glance.UserID, cfg.Glance.Password = "u", "p"
	loggedIn := newTestService(t, cfg)
	private := map[string]any{"visibility": "private", "owner": "p"}
	tests := []struct {
		name    string
		service *Service
		fields  map[string]any
		who     Requester
		kind    store.Kind
	}{
		{"queued", alone, map[string]any{"status": "queued"}, Requester{}, store.ImageUnacceptable},
		{"public", loggedIn, nil, Requester{}, ""},
		{"private, nobody asks", loggedIn, private, Requester{}, store.ImageNotFound},
		{"shared, nobody asks", loggedIn, map[string]any{"visibility": "shared"}, Requester{}, store.ImageNotFound},
		{"private of another project", loggedIn, private, Requester{ProjectID: "q"}, store.ImageNotFound},
		{"own", loggedIn, private, Requester{ProjectID: "p"}, ""},
		{"token", loggedIn, private, Requester{Token: "t"}, ""},
		{"nobody knows users", alone, map[string]any{"visibility": "shared", "owner": nil}, Requester{}, ""},
		{"only ironic knows users", alone, private, Requester{ProjectID: "q"}, store.ImageNotFound},
	}
	for _, tt := range tests {
		glance.add(imageID, []byte("x"), tt.fields)
		_, err := tt.service.Show(t.Context(), Ref{Href: imageID, Requester: tt.who})
		if store.KindOf(err) != tt.kind || (tt.kind == "" && err != nil) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A Glance that begins to tell about an image and does not go on is given up.
func TestGlanceThatStopsInTheMiddle(t *testing.T) {
	glance := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, `{"id": `)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	defer glance.Close()
	cfg := testConfig(t, nil)
	cfg.Glance.EndpointOverride, cfg.Glance.Timeout = glance.URL, 500*time.Millisecond
	_, err := newTestService(t, cfg).Show(t.Context(), Ref{Href: imageID})
	if store.KindOf(err) != store.GlanceConnectionFailed {
		t.Errorf("got %v", err)
	}
}

func TestGlanceDownload(t *testing.T) {
	glance := newFakeGlance(t)
	glance.add(imageID, bytes.Repeat([]byte("x"), 1000), nil)
	s := newTestService(t, testConfig(t, glance))
	var got bytes.Buffer
	if n, err := s.Download(t.Context(), Ref{Href: "glance://" + imageID}, &got, nil); n != 1000 || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	glance.truncate = true
	_, err := s.Download(t.Context(), Ref{Href: imageID}, &got, nil)
	wantKind(t, err, store.ImageDownloadFailed, "before the whole image had arrived")
	glance.add(imageID, nil, nil)
	_, err = s.Download(t.Context(), Ref{Href: imageID}, &got, nil)
	wantKind(t, err, store.ImageDownloadFailed, "Failed to download image "+imageID+", reason: image contains no data.")
}

// fakeKeystone hands out tokens and a catalog with the image service, and remembers what it was asked.
type fakeKeystone struct {
	*httptest.Server
	glance  string
	expires time.Duration
	mu      sync.Mutex
	asked   []string
	refuse  bool
}

func newFakeKeystone(t *testing.T, glance string) *fakeKeystone {
	k := &fakeKeystone{glance: glance, expires: time.Hour}
	k.Server = httptest.NewServer(k)
	t.Cleanup(k.Close)
	return k
}

func (k *fakeKeystone) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		fmt.Fprintf(w, `{"versions": {"values": [{"id": "v3.14", "status": "stable", "links": [{"rel": "self", "href": "%s/v3/"}]}]}}`, k.URL)
		return
	}
	body, _ := io.ReadAll(r.Body)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = append(k.asked, string(body))
	if k.refuse {
		http.Error(w, "no", http.StatusUnauthorized)
		return
	}
	w.Header().Set("X-Subject-Token", fmt.Sprintf("service-token-%d", len(k.asked)))
	w.WriteHeader(http.StatusCreated)
	json.NewEncoder(w).Encode(map[string]any{"token": map[string]any{
		"expires_at": time.Now().Add(k.expires).UTC().Format("2006-01-02T15:04:05.000000Z"),
		"catalog": []any{map[string]any{"type": "image", "name": "glance", "endpoints": []any{
			map[string]any{"interface": "public", "region": "one", "region_id": "one", "url": k.glance},
			map[string]any{"interface": "internal", "region": "two", "region_id": "two", "url": "http://127.0.0.1:1"},
		}}},
	}})
}

func TestGlanceWithKeystone(t *testing.T) {
	tests := []struct {
		name  string
		set   func(*GlanceConfig)
		asked []string
	}{
		{"password", func(c *GlanceConfig) {
			c.Username, c.Password, c.UserDomainName = "ironic", "pw", "Default"
			c.ProjectName, c.ProjectDomainName = "service", "Default"
		}, []string{`"methods":["password"]`, `"name":"ironic"`, `"password":"pw"`, `"project":{"domain":{"name":"Default"},"name":"service"}`}},
		{"system scope", func(c *GlanceConfig) {
			c.AuthType, c.UserID, c.Password, c.SystemScope = keystone.AuthV3Password, "u1", "pw", true
		}, []string{`"id":"u1"`, `"system":{"all":true}`}},
		{"application credential", func(c *GlanceConfig) {
			c.AuthType, c.ApplicationCredentialID, c.ApplicationCredentialSecret = keystone.AuthApplicationCredential, "ac", "s"
		}, []string{`"methods":["application_credential"]`, `"id":"ac"`}},
		{"token", func(c *GlanceConfig) { c.AuthType, c.Token, c.ProjectID = keystone.AuthToken, "tok", "p1" },
			[]string{`"methods":["token"]`, `"id":"tok"`, `"project":{"id":"p1"}`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			glance := newFakeGlance(t)
			glance.add(imageID, []byte("x"), map[string]any{"visibility": "public"})
			identity := newFakeKeystone(t, glance.URL)
			cfg := testConfig(t, nil)
			cfg.Glance = DefaultConfig().Glance
			cfg.Glance.AuthURL, cfg.Glance.RegionName = identity.URL, "one"
			tt.set(&cfg.Glance)
			s := newTestService(t, cfg)
			for _, who := range []Requester{{}, {Token: "user-token"}} {
				if _, err := s.Show(t.Context(), Ref{Href: imageID, Requester: who}); err != nil {
					t.Fatal(err)
				}
			}
			for _, part := range tt.asked {
				if !strings.Contains(identity.asked[0], part) {
					t.Errorf("asked %s, want %s in it", identity.asked[0], part)
				}
			}
			if len(identity.asked) != 1 {
				t.Errorf("logged in %d times", len(identity.asked))
			}
			service, user := glance.headers[0], glance.headers[1]
			if service.Get("X-Auth-Token") != "service-token-1" || service.Get("X-Service-Token") != "" {
				t.Errorf("as the service: %v", service)
			}
			if user.Get("X-Auth-Token") != "user-token" || user.Get("X-Service-Token") != "service-token-1" {
				t.Errorf("for the user: %v", user)
			}
		})
	}
}

func TestGlanceRenewsItsToken(t *testing.T) {
	glance := newFakeGlance(t)
	glance.add(imageID, []byte("x"), nil)
	identity := newFakeKeystone(t, glance.URL+"/v2")
	identity.expires = time.Minute
	cfg := testConfig(t, nil)
	cfg.Glance = DefaultConfig().Glance
	cfg.Glance.AuthURL, cfg.Glance.Username, cfg.Glance.Password = identity.URL+"/v3", "ironic", "pw"
	cfg.Glance.UserDomainID, cfg.Glance.RegionName = "default", "one"
	s := newTestService(t, cfg)
	for range 2 {
		if _, err := s.Show(t.Context(), Ref{Href: imageID, Requester: Requester{Token: "user"}}); err != nil {
			t.Fatal(err)
		}
	}
	if got := glance.headers[1].Get("X-Service-Token"); got != "service-token-2" {
		t.Errorf("second request carries %q", got)
	}
}

func TestKeystoneFailures(t *testing.T) {
	glance := newFakeGlance(t)
	identity := newFakeKeystone(t, glance.URL)
	show := func(set func(*GlanceConfig)) error {
		cfg := testConfig(t, nil)
		cfg.Glance = DefaultConfig().Glance
		cfg.Glance.AuthURL, cfg.Glance.UserID, cfg.Glance.Password = identity.URL, "u", "hunter2"
		set(&cfg.Glance)
		_, err := newTestService(t, cfg).Show(t.Context(), Ref{Href: imageID})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error tells a secret, or there is none: %v", err)
		}
		return err
	}
	wantKind(t, show(func(c *GlanceConfig) { c.RegionName = "three" }), "CatalogNotFound", "internal, public")
	wantKind(t, show(func(c *GlanceConfig) { c.AuthURL = "" }), "KeystoneFailure", "auth_url")
	wantKind(t, show(func(c *GlanceConfig) { c.AuthURL = "http://127.0.0.1:1" }), "KeystoneFailure", "connection refused")
	wantKind(t, show(func(c *GlanceConfig) { c.AuthType, c.EndpointOverride = keystone.AuthNone, "" }), "CatalogNotFound", "endpoint_override")
	identity.refuse = true
	wantKind(t, show(func(*GlanceConfig) {}), "KeystoneUnauthorized", "Not authorized in Keystone.")
}

func TestGlanceBasicAuth(t *testing.T) {
	glance := newFakeGlance(t)
	glance.add(imageID, []byte("x"), nil)
	cfg := testConfig(t, glance)
	cfg.Glance.AuthType, cfg.Glance.Username, cfg.Glance.Password = keystone.AuthHTTPBasic, "u", "p"
	if _, err := newTestService(t, cfg).Show(t.Context(), Ref{Href: imageID}); err != nil {
		t.Fatal(err)
	}
	if got := glance.headers[0].Get("Authorization"); got != "Basic dTpw" {
		t.Errorf("sent %q", got)
	}
}
