package image

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func openTestDepot(t *testing.T, cfg Config) (*Depot, func()) {
	t.Helper()
	d, err := OpenDepot(t.Context(), cfg, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	return d, func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}

// A worker dies while a node has its URL; the next one serves the same URL again.
func TestDepotResumesAfterRestart(t *testing.T) {
	disk := mbrDisk(1 << 20)
	glance := newFakeGlance(t)
	glance.add(imageID, disk, nil)
	cfg := testConfig(t, glance)
	d, stop := openTestDepot(t, cfg)
	cfg.Server.Listen = d.Server.base[len("http://"):]
	cfg.Server.RecallTime = 10 * time.Millisecond
	supply, err := d.Provide(t.Context(), glanceRequest(nodeID), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, body := request(t, http.MethodGet, supply.URL); status != 200 || !bytes.Equal(body, disk) {
		t.Fatalf("%d, %d bytes", status, len(body))
	}
	stop()
	http.DefaultClient.CloseIdleConnections()

	d, stop = openTestDepot(t, cfg)
	defer stop()
	if status, _, _ := request(t, http.MethodGet, supply.URL); status != 404 {
		t.Errorf("before it is published again: %d", status)
	}
	again, ok, err := d.Resume(nodeID, "disk", supply.Token, nil)
	if err != nil || !ok || again.URL != supply.URL || again.HashValue != supply.HashValue {
		t.Fatalf("%+v, %v, %v", again, ok, err)
	}
	if status, _, body := request(t, http.MethodGet, supply.URL); status != 200 || !bytes.Equal(body, disk) {
		t.Errorf("%d, %d bytes", status, len(body))
	}
	if n := glance.downloadCount(); n != 1 {
		t.Errorf("%d downloads", n)
	}
	if err := d.Withdraw(nodeID); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := request(t, http.MethodGet, supply.URL); status != 404 {
		t.Errorf("withdrawn: %d", status)
	}
	if _, ok, err := d.Resume(nodeID, "disk", supply.Token, nil); ok || err != nil {
		t.Errorf("resumed what was withdrawn: %v", err)
	}
}
