package image

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func TestKind(t *testing.T) {
	glance := newFakeGlance(t)
	ids := map[string]map[string]any{
		"00000000-0000-0000-0000-000000000001": {},
		"00000000-0000-0000-0000-000000000002": {"kernel_id": "k", "ramdisk_id": "r"},
		"00000000-0000-0000-0000-000000000003": {"kernel_id": "k"},
		"00000000-0000-0000-0000-000000000004": {"kernel_id": "", "ramdisk_id": nil},
		"00000000-0000-0000-0000-000000000005": {"img_type": "partition"},
		"00000000-0000-0000-0000-000000000006": {"img_type": "whole-disk", "kernel_id": "k", "ramdisk_id": "r"},
		"00000000-0000-0000-0000-000000000007": {"status": "queued"},
		"00000000-0000-0000-0000-000000000008": {"visibility": "private", "owner": "someone"},
	}
	for id, fields := range ids {
		glance.add(id, []byte("x"), fields)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/disk.img":
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Length", "5")
		case "/listing", "/listing/":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
		case "/tree":
			http.Redirect(w, r, "/bare/", http.StatusMovedPermanently)
		case "/moved":
			http.Redirect(w, r, "/disk.img", http.StatusMovedPermanently)
		case "/bare/":
			w.Header()["Content-Type"] = nil
		case "/forbidden/":
			w.Header()["Content-Type"] = nil
			w.WriteHeader(http.StatusForbidden)
		default:
			http.NotFound(w, r)
		}
	}))
	defer web.Close()
	s := newTestService(t, testConfig(t, glance))

	id := func(n string) string { return "00000000-0000-0000-0000-00000000000" + n }
	tests := []struct {
		name     string
		instance store.Dict
		who      Requester
		kind     Kind
		path     bool
		reason   string
	}{
		{"no image source", store.Dict{}, Requester{}, "", false, "no image_source"},
		{"declared partition", store.Dict{"image_source": id("1"), "image_type": "partition"}, Requester{}, Partition, false, "image_type"},
		{"declared whole disk wins over kernel", store.Dict{"image_source": "http://x/y", "image_type": "whole-disk", "kernel": "k"}, Requester{}, WholeDisk, false, "image_type"},
		{"any other declared type is a whole disk", store.Dict{"image_source": "nonsense", "image_type": "disk"}, Requester{}, WholeDisk, false, `"disk"`},
		{"empty declared type is none", store.Dict{"image_source": id("2"), "image_type": ""}, Requester{}, Partition, false, "kernel_id and ramdisk_id"},
		{"glance without boot files", store.Dict{"image_source": id("1")}, Requester{}, WholeDisk, false, "neither kernel_id nor ramdisk_id"},
		{"glance URL", store.Dict{"image_source": "glance://host/" + id("1")}, Requester{}, WholeDisk, false, "neither"},
		{"glance with both", store.Dict{"image_source": id("2")}, Requester{}, Partition, false, "kernel_id and ramdisk_id"},
		{"glance with one", store.Dict{"image_source": id("3")}, Requester{}, Partition, false, "has kernel_id"},
		{"glance with empty ones", store.Dict{"image_source": id("4")}, Requester{}, WholeDisk, false, "neither"},
		{"glance img_type partition", store.Dict{"image_source": id("5")}, Requester{}, Partition, false, "img_type"},
		{"glance img_type wins over boot files", store.Dict{"image_source": id("6")}, Requester{}, WholeDisk, false, "img_type"},
		{"instance kernel does not matter for glance", store.Dict{"image_source": id("1"), "kernel": "k"}, Requester{}, WholeDisk, false, "neither"},
		{"glance image not active", store.Dict{"image_source": id("7")}, Requester{}, "", false, "could not be read"},
		{"glance image of somebody else", store.Dict{"image_source": id("8")}, Requester{ProjectID: "me"}, "", false, "could not be read"},
		{"glance image of the requester", store.Dict{"image_source": id("8")}, Requester{ProjectID: "someone"}, WholeDisk, false, "neither"},
		{"glance decides for a token", store.Dict{"image_source": id("8")}, Requester{Token: "t"}, WholeDisk, false, "neither"},
		{"glance image missing", store.Dict{"image_source": id("9")}, Requester{}, "", false, "could not be found"},
		{"http", store.Dict{"image_source": web.URL + "/disk.img"}, Requester{}, WholeDisk, false, "neither kernel nor ramdisk"},
		{"http redirected", store.Dict{"image_source": web.URL + "/moved"}, Requester{}, WholeDisk, false, "neither"},
		{"http with kernel", store.Dict{"image_source": web.URL + "/disk.img", "kernel": "k"}, Requester{}, Partition, false, "has kernel"},
		{"http with ramdisk", store.Dict{"image_source": web.URL + "/disk.img", "ramdisk": "r"}, Requester{}, Partition, false, "has ramdisk"},
		{"http missing is decided by instance_info", store.Dict{"image_source": web.URL + "/gone"}, Requester{}, WholeDisk, false, "neither"},
		{"http listing", store.Dict{"image_source": web.URL + "/listing"}, Requester{}, "", true, "text/html"},
		{"http listing without type", store.Dict{"image_source": web.URL + "/bare/"}, Requester{}, "", true, "ends with a slash"},
		{"http hidden listing", store.Dict{"image_source": web.URL + "/forbidden/"}, Requester{}, "", true, "ends with a slash"},
		{"http redirect to directory", store.Dict{"image_source": web.URL + "/tree"}, Requester{}, "", true, "redirects"},
		{"file", store.Dict{"image_source": "file:///x/y.img"}, Requester{}, WholeDisk, false, "neither"},
		{"file with both", store.Dict{"image_source": "file:///x/y.img", "kernel": "k", "ramdisk": "r"}, Requester{}, Partition, false, "kernel and ramdisk"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Kind(t.Context(), tt.instance, tt.who)
			if err != nil {
				t.Fatal(err)
			}
			if got.Kind != tt.kind || got.SourceIsPath != tt.path || !strings.Contains(got.Reason, tt.reason) {
				t.Errorf("got %+v, want kind %q, path %v, reason with %q", got, tt.kind, tt.path, tt.reason)
			}
		})
	}
}

func TestKindOfUnreadableSource(t *testing.T) {
	s := newTestService(t, testConfig(t, nil))
	_, err := s.Kind(t.Context(), store.Dict{"image_source": "my-image"}, Requester{})
	wantKind(t, err, store.ImageRefValidationFailed,
		"Validation of image href my-image failed, reason: Scheme-less image href is not a UUID.")
	_, err = s.Kind(t.Context(), store.Dict{"image_source": "ftp://host/x"}, Requester{})
	wantKind(t, err, store.ImageRefValidationFailed, "Image download protocol ftp is not supported.")
}

func TestDecisionApply(t *testing.T) {
	tests := []struct {
		name               string
		decision           Decision
		instance, internal store.Dict
		changed            bool
		wantType, wantKey  any
		wantPath           any
	}{
		{"whole disk", Decision{Kind: WholeDisk}, store.Dict{}, store.Dict{}, true, "whole-disk", true, nil},
		{"partition", Decision{Kind: Partition}, store.Dict{}, store.Dict{}, true, "partition", false, nil},
		{"odd type is normalised", Decision{Kind: WholeDisk}, store.Dict{"image_type": "disk"}, store.Dict{}, true, "whole-disk", true, nil},
		{"undecided keeps the old", Decision{}, store.Dict{"image_type": "partition"}, store.Dict{"is_whole_disk_image": false}, false, "partition", false, nil},
		{"path keeps the old kind", Decision{SourceIsPath: true}, store.Dict{}, store.Dict{"is_whole_disk_image": true}, true, nil, true, true},
		{"a kind keeps a stale path", Decision{Kind: WholeDisk}, store.Dict{}, store.Dict{"is_source_a_path": true}, true, "whole-disk", true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			changed := tt.decision.Apply(tt.instance, tt.internal)
			if changed != tt.changed || tt.instance["image_type"] != tt.wantType ||
				tt.internal["is_whole_disk_image"] != tt.wantKey || tt.internal["is_source_a_path"] != tt.wantPath {
				t.Errorf("changed %v, instance %v, internal %v", changed, tt.instance, tt.internal)
			}
		})
	}
}

// A rebuild with another image keeps the type that the first deployment recorded, unless the caller removes it.
func TestRebuildKeepsRecordedKind(t *testing.T) {
	glance := newFakeGlance(t)
	glance.add(imageID, []byte("x"), map[string]any{"kernel_id": "k", "ramdisk_id": "r"})
	s := newTestService(t, testConfig(t, glance))
	instance, internal := store.Dict{"image_source": "file:///a"}, store.Dict{}
	for _, want := range []Kind{WholeDisk, WholeDisk} {
		d, err := s.Kind(t.Context(), instance, Requester{})
		if err != nil || d.Kind != want {
			t.Fatalf("got %+v, %v, want %s", d, err, want)
		}
		d.Apply(instance, internal)
		instance["image_source"] = imageID
	}
	delete(instance, "image_type")
	if d, err := s.Kind(t.Context(), instance, Requester{}); err != nil || d.Kind != Partition {
		t.Fatalf("got %+v, %v after image_type was removed", d, err)
	}
}

func TestValidateType(t *testing.T) {
	for name, ok := range map[string]bool{"": true, "partition": true, "whole-disk": true, "disk": false} {
		err := ValidateType(store.Dict{"image_type": name})
		if (err == nil) != ok {
			t.Errorf("image_type %q: %v", name, err)
		}
		if !ok {
			wantKind(t, err, store.InvalidParameterValue, `Invalid image_type "disk"`)
		}
	}
}
