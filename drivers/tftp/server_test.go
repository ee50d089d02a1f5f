package tftp

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	library "github.com/pin/tftp/v3"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/drivers"
)

// told collects what a server reports.
type told struct {
	mu  sync.Mutex
	all []drivers.Transfer
}

func (r *told) note(t drivers.Transfer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, t)
}

func (r *told) last() drivers.Transfer {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.all) == 0 {
		return drivers.Transfer{}
	}
	return r.all[len(r.all)-1]
}

// serve starts a server on loopback and returns it with its address. Its end must leave nothing behind.
func serve(t *testing.T, cfg Config, report func(drivers.Transfer)) (*Server, string) {
	t.Helper()
	// The first socket of a process brings files that stay.
	first, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	first.Close()
	before, open := goleak.IgnoreCurrent(), descriptors(t)
	if report == nil {
		report = func(drivers.Transfer) {}
	}
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	s := New(cfg, report, zerolog.Nop())
	addr, err := s.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		goleak.VerifyNone(t, before)
		if now := descriptors(t); now > open {
			t.Errorf("%d files are open, %d were before", now, open)
		}
	})
	return s, addr.String()
}

// descriptors counts the open files of this process.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// requests is how many requests are counted that ended so.
func (s *Server) requests(t *testing.T, result string) float64 {
	t.Helper()
	return s.counted(t, "ironmaster_tftp_requests_total", result)
}

// counted reads a counter, that of a label's value if it has one.
func (s *Server) counted(t *testing.T, name, label string) (sum float64) {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.Collectors()...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name && (label == "" || m.GetLabel()[0].GetValue() == label) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// quick is a configuration whose server gives silent peers up soon.
func quick(root string) Config {
	cfg := DefaultConfig()
	cfg.Root, cfg.Timeout, cfg.Retries = root, 250*time.Millisecond, 3
	return cfg
}

func newClient(t *testing.T, addr string) *library.Client {
	t.Helper()
	c, err := library.NewClient(addr)
	if err != nil {
		t.Fatal(err)
	}
	c.SetTimeout(time.Minute)
	return c
}

// get reads a file as the library's client does.
func get(c *library.Client, name, mode string) ([]byte, int64, error) {
	source, err := c.Receive(name, mode)
	if err != nil {
		return nil, 0, err
	}
	size, _ := source.(library.IncomingTransfer).Size()
	var content bytes.Buffer
	_, err = source.WriteTo(&content)
	return content.Bytes(), size, err
}

// fill writes a file of random bytes.
func fill(t *testing.T, root, name string, size int) []byte {
	t.Helper()
	content := make([]byte, size)
	rand.New(rand.NewSource(int64(size))).Read(content)
	if err := os.WriteFile(filepath.Join(root, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
	return content
}

func TestFilesArriveWhole(t *testing.T) {
	root := newRoot(t)
	_, addr := serve(t, quick(root), nil)
	for _, size := range []int{0, 1, 511, 512, 513, 1468, 2936, 70_000} {
		name := fmt.Sprintf("file-%d", size)
		want := fill(t, root, name, size)
		for _, block := range []int{0, 512, 1468, 65464} {
			c := newClient(t, addr)
			c.RequestTSize(true)
			if block > 0 {
				c.SetBlockSize(block)
			}
			got, told, err := get(c, name, "octet")
			if err != nil || !bytes.Equal(got, want) || told != int64(size) {
				t.Errorf("%d bytes in blocks of %d: %d bytes came, %d were announced: %v", size, block, len(got), told, err)
			}
		}
	}
}

// Machines without blksize number their blocks beyond 65535.
func TestBlockNumbersWrapAround(t *testing.T) {
	cfg := DefaultConfig()
	cfg.Root = newRoot(t)
	_, addr := serve(t, cfg, nil)
	want := sha256.Sum256(fill(t, cfg.Root, "ramdisk", 65540*512+7))
	source, err := newClient(t, addr).Receive("ramdisk", "octet")
	if err != nil {
		t.Fatal(err)
	}
	got := sha256.New()
	if n, err := source.WriteTo(got); err != nil || !bytes.Equal(got.Sum(nil), want[:]) {
		t.Errorf("%d bytes came, or others: %v", n, err)
	}
}

func TestProgressNamesTheNode(t *testing.T) {
	root := newRoot(t)
	var reports told
	s, addr := serve(t, quick(root), reports.note)
	want := fill(t, root, nodeID+"/deploy_ramdisk", 100_000)
	if _, _, err := get(newClient(t, addr), nodeID+"/deploy_ramdisk", "octet"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	last := reports.last()
	if last.Node != nodeID || last.File != nodeID+"/deploy_ramdisk" || last.By != "TFTP" || last.Bytes != int64(len(want)) ||
		last.Total != last.Bytes || !strings.HasPrefix(last.Peer, "127.0.0.1:") {
		t.Errorf("told %+v", last)
	}
	if n := s.requests(t, ended); n != 1 {
		t.Errorf("%g requests are counted as complete", n)
	}
	if n := s.counted(t, "ironmaster_tftp_bytes_total", ""); n != float64(len(want)) {
		t.Errorf("%g bytes are counted", n)
	}
}

func TestIPv6AndWildcards(t *testing.T) {
	root := newRoot(t)
	for _, listen := range []string{"[::1]:0", ":0"} {
		cfg := quick(root)
		cfg.Listen = listen
		_, addr := serve(t, cfg, nil)
		_, port, _ := net.SplitHostPort(addr)
		peers := []string{"[::1]:" + port}
		if listen == ":0" {
			peers = append(peers, "127.0.0.1:"+port)
		}
		for _, peer := range peers {
			if got, _, err := get(newClient(t, peer), "undionly.kpxe", "octet"); err != nil || string(got) != "loader" {
				t.Errorf("at %s by way of %s: %q, %v", listen, peer, got, err)
			}
		}
	}
}

func TestRefusalsSayWhyAndNothingOfTheHost(t *testing.T) {
	root := newRoot(t)
	_, addr := serve(t, quick(root), nil)
	for name, want := range map[string]string{
		"missing": "file not found", "../secret": "access violation", "/../secret": "access violation", "out": "access violation",
		"pxelinux.cfg": "access violation", "pipe": "access violation", "": "access violation", `..\secret`: "file not found",
	} {
		_, _, err := get(newClient(t, addr), name, "octet")
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), root) {
			t.Errorf("%q: the machine was told %v", name, err)
		}
	}
	sink, err := newClient(t, addr).Send("new", "octet")
	if err == nil {
		_, err = sink.ReadFrom(strings.NewReader("content"))
	}
	if err == nil || !strings.Contains(err.Error(), "takes no files") {
		t.Errorf("a write was answered by %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, "new")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file was written: %v", err)
	}
}

func TestTheRateOfATransferIsLimited(t *testing.T) {
	tr := newTransfer(t.Context(), &File{Size: 200_000}, "", 1<<20, func(drivers.Transfer) {})
	tr.file = bytes.NewReader(make([]byte, 200_000))
	if n, err := io.Copy(io.Discard, tr); n != 200_000 || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	// All was taken from the limiter: what is left is at most what came back since.
	if tokens := tr.limit.Tokens(); tokens > largestBlock {
		t.Errorf("%g bytes are left", tokens)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	tr = newTransfer(ctx, &File{Size: 1}, "", 1<<10, func(drivers.Transfer) {})
	tr.file = strings.NewReader("x")
	cancel(errClosing)
	if _, err := tr.Read(make([]byte, 512)); !errors.Is(err, errClosing) {
		t.Errorf("after the end: %v", err)
	}
}

func TestTransfersBeyondTheLimitWaitForTheirPlace(t *testing.T) {
	root := newRoot(t)
	cfg := quick(root)
	cfg.MaxTransfers, cfg.QueueTime = 2, time.Minute
	s, addr := serve(t, cfg, nil)
	for range cfg.MaxTransfers {
		s.running <- struct{}{}
	}
	got := make(chan error)
	for range cfg.MaxTransfers {
		go func() {
			_, _, err := get(newClient(t, addr), "undionly.kpxe", "octet")
			got <- err
		}()
	}
	for len(s.waiting) < cfg.MaxTransfers {
		time.Sleep(time.Millisecond)
	}
	if _, _, err := get(newClient(t, addr), "undionly.kpxe", "octet"); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("one too many was told %v", err)
	}
	for range cfg.MaxTransfers {
		<-s.running
	}
	for range cfg.MaxTransfers {
		if err := <-got; err != nil {
			t.Errorf("one that waited was told %v", err)
		}
	}
}

func TestNobodyWaitsForEver(t *testing.T) {
	root := newRoot(t)
	cfg := quick(root)
	cfg.MaxTransfers, cfg.QueueTime = 1, time.Millisecond
	s, addr := serve(t, cfg, nil)
	s.running <- struct{}{}
	if _, _, err := get(newClient(t, addr), "undionly.kpxe", "octet"); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("told %v", err)
	}
	<-s.running
	if got, _, err := get(newClient(t, addr), "undionly.kpxe", "octet"); err != nil || string(got) != "loader" {
		t.Errorf("afterwards %q, %v", got, err)
	}
}

func TestAnAddressInUseIsAnError(t *testing.T) {
	_, addr := serve(t, quick(newRoot(t)), nil)
	alive(t, addr)
	s := New(Config{Listen: addr, MaxTransfers: 1}, nil, zerolog.Nop())
	if _, err := s.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "TFTP") {
		t.Errorf("the error is %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
