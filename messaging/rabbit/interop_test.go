package rabbit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

// peer runs Debian's oslo.messaging on a job and returns a function that reads its next line.
func peer(t *testing.T, job map[string]any) (next func() map[string]any) {
	t.Helper()
	text, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	// The system's interpreter has Debian's modules; the first python3 on PATH may not.
	cmd := exec.Command("/usr/bin/python3", "testdata/oslo_peer.py")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the Python side: %v", err)
		}
		if t.Failed() {
			t.Logf("the Python side said: %s", stderr.String())
		}
	})
	if _, err := in.Write(append(text, '\n')); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	return func() map[string]any {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the Python side went silent (%v)", lines.Err())
		}
		var m map[string]any
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		return m
	}
}

// The real oslo.messaging gets results, failures that it can rebuild, and keepalives.
func TestOsloCallsTheServer(t *testing.T) {
	cfg := serverConfig(t)
	p := startPublisher(t, cfg.Config)
	startServer(t, cfg, func(ctx context.Context, d *Delivery) {
		r, err := oslo.DecodeRequest(d.Body, oslo.DefaultMaxSize)
		if err != nil || r.Context.RequestID != "req-1" {
			t.Errorf("request %+v, %v", r, err)
			return
		}
		if err := d.Ack(); err != nil {
			t.Error(err)
		}
		body, err := answer(ctx, p, r)
		if err != nil {
			t.Error(err)
		}
		if err := p.Reply(ctx, r.ReplyQ, body); err != nil {
			t.Error(err)
		}
	})
	next := peer(t, map[string]any{
		"url": cfg.URL, "exchange": cfg.Exchange, "topic": cfg.Topic, "host": cfg.Host,
		"calls": []map[string]any{
			{"method": "echo", "version": "1.22", "args": map[string]any{"a": []any{1, "ü", nil}}},
			{"method": "nothing", "version": "1.1", "args": map[string]any{}},
			{"method": "locked", "version": "1.1", "args": map[string]any{}},
			{"method": "broken", "version": "1.1", "args": map[string]any{}},
			{"method": "missing", "version": "1.1", "args": map[string]any{}},
			{"method": "slow", "version": "1.1", "monitor": 2, "args": map[string]any{}},
		},
	})
	next()
	for _, want := range []map[string]any{
		{"result": map[string]any{"a": []any{1.0, "ü", nil}}},
		{"result": nil},
		{"class": "NodeLocked_Remote", "code": 409.0,
			"text": "Node n is locked by host h, please retry after the current operation is completed."},
		{"class": "Exception", "code": nil, "text": "disk full"},
		{"class": "RemoteError", "code": nil, "text": "Remote error: NoSuchMethod Endpoint does not support RPC method missing"},
		{"result": "late"},
	} {
		got := next()
		if text, ok := got["text"].(string); ok {
			// This is what ironic-api does before it shows the text.
			text, _, _ = strings.Cut(text, "\n")
			got["text"] = text
		}
		g, _ := json.Marshal(got)
		w, _ := json.Marshal(want)
		if !bytes.Equal(g, w) {
			t.Errorf("the caller saw %s, want %s", g, w)
		}
	}
}

func answer(ctx context.Context, p *Publisher, r *oslo.Request) ([]byte, error) {
	switch r.Method {
	case "echo":
		return oslo.EncodeReply(r.MsgID, r.Args)
	case "nothing":
		return oslo.EncodeReply(r.MsgID, nil)
	case "locked":
		return oslo.EncodeFailure(r.MsgID, oslo.FailureOf(store.NodeLockedBy("n", "h"), messaging.V2023_1))
	case "broken":
		return oslo.EncodeFailure(r.MsgID, oslo.FailureOf(errors.New("disk full"), messaging.V2023_1))
	case "slow":
		// Longer than the caller's monitor: without the keepalives it would give up.
		for range 3 {
			alive, err := oslo.EncodeKeepalive(r.MsgID)
			if err != nil {
				return nil, err
			}
			if err := p.Reply(ctx, r.ReplyQ, alive); err != nil {
				return nil, err
			}
			sleep(ctx, time.Second)
		}
		return oslo.EncodeReply(r.MsgID, "late")
	}
	return oslo.EncodeFailure(r.MsgID, oslo.FailureOf(oslo.NoSuchMethod(r.Method), messaging.V2023_1))
}

// A Python conductor that runs already has declared what this one declares.
func TestSameTopologyAsOslo(t *testing.T) {
	sets := map[string]map[string]any{
		"default":     {},
		"durable":     {"amqp_durable_queues": true},
		"auto-delete": {"amqp_auto_delete": true},
		"quorum": {"rabbit_quorum_queue": true, "rabbit_quorum_delivery_limit": 5, "rabbit_quroum_max_memory_length": 10,
			"rabbit_quroum_max_memory_bytes": 100000},
		"mirrored": {"rabbit_ha_queues": true},
	}
	cfg := serverConfig(t)
	var servers []map[string]any
	for name, set := range sets {
		servers = append(servers, map[string]any{"exchange": cfg.Exchange + name, "topic": cfg.Topic + name, "options": set})
	}
	next := peer(t, map[string]any{"url": cfg.URL, "host": cfg.Host, "servers": servers})
	if got := next(); got["servers"] != float64(len(sets)) {
		t.Fatalf("Python servers: %v", got)
	}
	for name, set := range sets {
		t.Run(name, func(t *testing.T) {
			own := cfg
			own.Exchange, own.Topic, own.Options = cfg.Exchange+name, cfg.Topic+name, DefaultOptions()
			for option, value := range set {
				text, _ := json.Marshal(value)
				if err := own.Options.Set(option, string(text)); err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			own.Log = zerolog.New(&log)
			_, stop := startServer(t, own, func(context.Context, *Delivery) {})
			stop()
			if strings.Contains(log.String(), "opposite") || strings.Contains(log.String(), "warn") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}
