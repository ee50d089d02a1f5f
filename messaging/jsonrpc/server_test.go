package jsonrpc

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/ironmaster/ironmaster/messaging"
)

const echoed = `{"jsonrpc":"2.0","method":"echo","params":{"context":{}},"id":1}`

// running is a server with its address; stop ends it in order.
type running struct {
	url    string
	client *http.Client
	stop   func()
}

func serve(t *testing.T, cfg Config, handle Handler) running {
	t.Helper()
	listener, err := Address{Host: "127.0.0.1"}.Listen()
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, listener, cfg, handle)
}

func serveOn(t *testing.T, listener net.Listener, cfg Config, handle Handler) running {
	t.Helper()
	cfg.Release, cfg.Log = messaging.Newest, zerolog.Nop()
	if cfg.MaxSize == 0 {
		cfg.MaxSize = 1 << 20
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, ended := NewServer(listener, cfg), make(chan error, 1)
	go func() { ended <- s.Serve(ctx, handle) }()
	r := running{url: "http://" + listener.Addr().String(), client: &http.Client{Transport: &http.Transport{}}}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		r.client.CloseIdleConnections()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() {
		r.stop()
		goleak.VerifyNone(t)
	})
	return r
}

// echo answers calls with the method's name.
func echo(_ context.Context, d *Delivery) {
	if d.Accepted(); !d.Request.IsCall() {
		return
	}
	body, err := d.Request.EncodeResult(d.Request.Method)
	if err == nil {
		err = d.Reply(body)
	}
	if err != nil {
		panic(err)
	}
}

func (r running) do(t *testing.T, method, body string, change ...func(*http.Request)) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, r.url+"/any/path", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	for _, c := range change {
		c(request)
	}
	response, err := r.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text), response.Header
}

func TestAnswersOfTheServer(t *testing.T) {
	r := serve(t, Config{MaxSize: 200, MaxDepth: 4}, echo)
	for name, c := range map[string]struct {
		method, body string
		status       int
		want         string
	}{
		"a call":     {"POST", echoed, 200, `{"jsonrpc":"2.0","result":"echo","id":1}`},
		"a cast":     {"POST", `{"jsonrpc":"2.0","method":"echo","params":{"context":{}}}`, 204, ""},
		"a bad cast": {"POST", `{"jsonrpc":"2.0","method":"echo","params":{"context":7}}`, 204, ""},
		"no request": {"POST", `{"jsonrpc":"2.0"}`, 200,
			`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request object received by RPC server"}}`},
		"no POST": {"GET", "", 405, `{"error":{"code":405,"message":"Only POST method can be used"}}`},
		"too large": {"POST", `{"a":"` + strings.Repeat("x", 1_000_000) + `"}`, 200,
			`{"jsonrpc":"2.0","id":null,"error":{"code":400,"message":"the request has more than the 200 bytes accepted",` +
				`"data":{"class":"ironic.common.exception.InvalidParameterValue"}}}`},
		"too deep": {"POST", `{"params":{"a":{"b":{"c":[]}}}}`, 400,
			`{"faultcode": "Client", "faultstring": "Request body JSON is nested too deeply. Please contact the service administrator."}`},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, header := r.do(t, c.method, c.body)
			if status != c.status || body != c.want {
				t.Errorf("answered %d %s, want %d %s", status, body, c.status, c.want)
			}
			if c.want != "" && header.Get("Content-Type") != "application/json" {
				t.Errorf("the content type is %q", header.Get("Content-Type"))
			}
		})
	}
}

// What was accepted is done whether its caller waits or not, and nobody is answered then.
func TestACallerThatHangsUpDoesNotEndItsRequest(t *testing.T) {
	began, replied := make(chan struct{}), make(chan error, 1)
	var gone context.CancelFunc
	r := serve(t, Config{}, func(ctx context.Context, d *Delivery) {
		close(began)
		gone()
		<-d.gone
		replied <- errors.Join(ctx.Err(), d.Reply([]byte("{}")))
	})
	ctx, cancel := context.WithCancel(t.Context())
	gone = cancel
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(echoed))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.client.Do(request); !errors.Is(err, context.Canceled) {
		t.Fatalf("the call ended with %v", err)
	}
	<-began
	if err := <-replied; !errors.Is(err, ErrCallerGone) || errors.Is(err, context.Canceled) {
		t.Errorf("answering the caller that is gone: %v", err)
	}
}

// A stop lets running calls end and answers them; later ones find nobody.
func TestAStopAnswersWhatRuns(t *testing.T) {
	began, finish := make(chan struct{}), make(chan struct{})
	r := serve(t, Config{}, func(ctx context.Context, d *Delivery) {
		close(began)
		<-finish
		echo(ctx, d)
	})
	answered := make(chan string, 1)
	go func() {
		_, body, _ := r.do(t, http.MethodPost, echoed)
		answered <- body
	}()
	<-began
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.stop()
	}()
	// The listener goes first.
	for {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
		if err != nil {
			break
		}
		c.Close()
	}
	close(finish)
	<-stopped
	if body := <-answered; !strings.Contains(body, `"result":"echo"`) {
		t.Errorf("the running call was answered %q", body)
	}
}

// A handler that gives up without an answer leaves nobody waiting.
func TestNobodyWaitsForAWorkerThatEnded(t *testing.T) {
	r := serve(t, Config{}, func(context.Context, *Delivery) {})
	if status, _, _ := r.do(t, http.MethodPost, echoed); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d", status)
	}
}

// The sender of a cast is told at once, and its connection is free for its next request.
func TestACastIsAcknowledgedBeforeItIsDone(t *testing.T) {
	finish := make(chan struct{})
	r := serve(t, Config{}, func(ctx context.Context, d *Delivery) {
		if d.Accepted(); !d.Request.IsCall() {
			<-finish
			return
		}
		echo(ctx, d)
	})
	if status, _, _ := r.do(t, http.MethodPost, `{"jsonrpc":"2.0","method":"slow"}`); status != http.StatusNoContent {
		t.Errorf("the cast was answered %d", status)
	}
	if status, _, _ := r.do(t, http.MethodPost, echoed); status != http.StatusOK {
		t.Errorf("the call after it was answered %d", status)
	}
	close(finish)
}

func TestUnixSocket(t *testing.T) {
	// Not t.TempDir: its paths may be too long for a socket.
	dir, err := os.MkdirTemp("", "jsonrpc-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	address := Address{Socket: filepath.Join(dir, "rpc.sock"), Mode: 0o620}
	for range 2 { // The second one replaces what the first one left behind.
		listener, err := address.Listen()
		if err != nil {
			t.Fatal(err)
		}
		listener.(*net.UnixListener).SetUnlinkOnClose(false)
		info, err := os.Stat(address.Socket)
		if err != nil || info.Mode().Perm() != address.Mode {
			t.Errorf("the socket is %v (%v)", info, err)
		}
		r := serveOn(t, listener, Config{}, echo)
		r.url = "http://conductor"
		r.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", address.Socket)
		}}
		if status, body, _ := r.do(t, http.MethodPost, echoed); status != http.StatusOK {
			t.Errorf("answered %d %s", status, body)
		}
		r.stop()
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (Address{Socket: filepath.Join(dir, "file")}).Listen(); err == nil {
		t.Error("a file that is no socket was replaced")
	}
}

// A bound on the requests at work makes the others wait, not fail.
// A handler that stood aside does not count.
func TestAHandlerStandsAside(t *testing.T) {
	waiting, answered := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	r := serve(t, Config{Concurrency: 1}, func(ctx context.Context, d *Delivery) {
		if calls.Add(1) == 1 {
			messaging.StandAside(ctx)
			close(waiting)
			<-answered
		}
		echo(ctx, d)
	})
	first := make(chan int, 1)
	go func() {
		status, _, _ := r.do(t, http.MethodPost, echoed)
		first <- status
	}()
	<-waiting
	if status, _, _ := r.do(t, http.MethodPost, echoed); status != http.StatusOK {
		t.Errorf("answered %d", status)
	}
	close(answered)
	if status := <-first; status != http.StatusOK {
		t.Errorf("who stood aside was answered %d", status)
	}
	r.stop()
}

func TestConcurrencyIsBounded(t *testing.T) {
	var crowded atomic.Bool
	one := make(chan struct{}, 1)
	r := serve(t, Config{Concurrency: 1}, func(ctx context.Context, d *Delivery) {
		select {
		case one <- struct{}{}:
		default:
			crowded.Store(true)
		}
		echo(ctx, d)
		<-one
	})
	results := make(chan int, 20)
	for range cap(results) {
		go func() {
			status, _, _ := r.do(t, http.MethodPost, echoed)
			results <- status
		}()
	}
	for range cap(results) {
		if status := <-results; status != http.StatusOK {
			t.Errorf("answered %d", status)
		}
	}
	r.stop()
	if crowded.Load() {
		t.Error("two requests were at work at once")
	}
}
