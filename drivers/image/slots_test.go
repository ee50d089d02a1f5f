package image

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A Glance that is slow holds up those who wait for it, and nobody else.
func TestASlowServerHoldsUpNoOther(t *testing.T) {
	disk := mbrDisk(1 << 20)
	glance := newFakeGlance(t)
	glance.add(imageID, disk, nil)
	glance.hold = make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(disk))
	}))
	defer web.Close()
	cfg := testConfig(t, glance)
	cfg.Cache.Concurrency = 1
	c := newTestCache(t, cfg)
	fetched := make(chan error, 1)
	go func() {
		_, err := c.Fetch(t.Context(), glanceRequest("node-1"))
		fetched <- err
	}()
	for glance.downloadCount() == 0 {
		time.Sleep(time.Millisecond)
	}
	if _, err := c.Fetch(t.Context(), FetchRequest{Ref: Ref{Href: web.URL + "/disk.img"}, Owner: "node-2", Name: "disk"}); err != nil {
		t.Errorf("beside a slow Glance: %v", err)
	}
	select {
	case err := <-fetched:
		t.Errorf("the slow one has ended meanwhile: %v", err)
	default:
	}
	close(glance.hold)
	if err := <-fetched; err != nil {
		t.Error(err)
	}
}

func TestSlots(t *testing.T) {
	s := newSlots(0) // at least one
	leave, err := s.acquire(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	given, giveUp := context.WithCancel(t.Context())
	giveUp()
	if _, err := s.acquire(given, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("a second slot at the same place: %v", err)
	}
	other, err := s.acquire(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	other()
	leave()
	if len(s.at) != 0 {
		t.Errorf("%d places are remembered", len(s.at))
	}
	for href, want := range map[string]string{
		imageID: "glance", "glance://" + imageID: "glance", "http://User:secret@Images.example:8080/a": "http://images.example:8080",
		"https://images.example/b": "https://images.example", "file:///srv/a.raw": "file",
	} {
		if got := (Ref{Href: href}).server(); got != want {
			t.Errorf("the server of %s is %q, want %q", Ref{Href: href}, got, want)
		}
	}
}
