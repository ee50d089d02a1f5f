package oslo

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// Every recorded request is understood, and encoding it again gives the same message.
func TestRequestsRoundTrip(t *testing.T) {
	for _, rec := range recordings(t) {
		t.Run(rec.Case, func(t *testing.T) {
			r, err := DecodeRequest(envelope(t, rec.Request), DefaultMaxSize)
			if err != nil {
				t.Fatal(err)
			}
			if r.IsCall() != (len(rec.Replies) > 0) {
				t.Errorf("IsCall() = %v with %d replies recorded", r.IsCall(), len(rec.Replies))
			}
			body, err := r.Encode()
			if err != nil {
				t.Fatal(err)
			}
			wantSame(t, tree(t, body), innerTree(t, rec.Request))
		})
	}
}

func TestRawBody(t *testing.T) {
	body, err := os.ReadFile("../testdata/create_node-21.4.raw")
	if err != nil {
		t.Fatal(err)
	}
	r, err := DecodeRequest(body, DefaultMaxSize)
	if err != nil || r.Method != "create_node" || r.Version != "1.36" || !strings.HasPrefix(r.Context.RequestID, "req-") {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, ok := r.Args["node_obj"]; !ok {
		t.Error("node_obj is missing")
	}
}

func TestMalformedRequests(t *testing.T) {
	inner := func(fields string) string {
		return string(envelope(t, []byte(`{"_msg_id": "m", "_reply_q": "q", `+fields+`}`)))
	}
	for _, tc := range []struct {
		name, body, field string
		answerable        bool
	}{
		{"empty", "", "body", false},
		{"not JSON", "hello", "body", false},
		{"cut off", `{"oslo.version": "2.0", "oslo.mess`, "body", false},
		{"a list", `[1, 2]`, "body", false},
		{"null", `null`, "body", false},
		{"no version", `{"oslo.message": "{}"}`, "oslo.version", false},
		{"no message", `{"oslo.version": "2.0"}`, "oslo.message", false},
		{"version 3", `{"oslo.version": "3.0", "oslo.message": "{}"}`, "oslo.version", false},
		{"version is a number", `{"oslo.version": 2.0, "oslo.message": "{}"}`, "oslo.version", false},
		{"message is an object", `{"oslo.version": "2.0", "oslo.message": {}}`, "oslo.message", false},
		{"message is null", `{"oslo.version": "2.0", "oslo.message": null}`, "oslo.message", false},
		{"message is not JSON", `{"oslo.version": "2.0", "oslo.message": "{'method': 'x'}"}`, "oslo.message", false},
		{"message is a list", `{"oslo.version": "2.0", "oslo.message": "[]"}`, "oslo.message", false},
		{"no method", inner(`"args": {}`), "method", true},
		{"method in capitals", inner(`"METHOD": "x"`), "method", true},
		{"method is a number", inner(`"method": 7`), "method", true},
		{"args is a list", inner(`"method": "x", "args": []`), "args", true},
		{"version is a number", inner(`"method": "x", "version": 1.5`), "version", true},
		{"timeout is a text", inner(`"method": "x", "_timeout": "soon"`), "_timeout", true},
		{"unique id is a list", inner(`"method": "x", "_unique_id": []`), "_unique_id", true},
		{"reply address is a number", inner(`"method": "x", "_reply_q": 5`), "_reply_q", false},
		{"nowhere to reply", string(envelope(t, []byte(`{"method": "x", "_msg_id": "m"}`))), "_reply_q", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := DecodeRequest([]byte(tc.body), DefaultMaxSize)
			var bad *MalformedError
			if !errors.As(err, &bad) || bad.Field != tc.field {
				t.Fatalf("error = %v, want one about %s", err, tc.field)
			}
			if answerable := bad.MsgID == "m" && bad.ReplyQ == "q"; answerable != tc.answerable {
				t.Errorf("return address (%q, %q), answerable should be %v", bad.MsgID, bad.ReplyQ, tc.answerable)
			}
			f := FailureOf(err, messaging.V2023_1)
			if f.Class != "InvalidParameterValue" || !strings.Contains(f.Message, tc.field) || f.Kwargs["code"] != 400 {
				t.Errorf("failure %+v", f)
			}
		})
	}
}

func TestMalformedMessageKeepsSecrets(t *testing.T) {
	for _, body := range []string{
		`{"oslo.version": "2.0", "oslo.message": "{\"_context_auth_token\": \"hunter2\", \"method\": \"x\", \"args\": \"hunter2\"}"}`,
		`{"oslo.version": "hunter2", "oslo.message": "hunter2"}`,
		`{"oslo.version": "2.0", "oslo.message": "{\"_context_auth_token\": \"hunter2\", hunter2"}`,
	} {
		_, err := DecodeRequest([]byte(body), DefaultMaxSize)
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("error of %s is %v", body, err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	r := Request{Method: "do_node_deploy", Version: "1.22", MsgID: "m", ReplyQ: "q", Args: map[string]json.RawMessage{
		"configdrive": json.RawMessage(`"` + strings.Repeat("A", 10<<20) + `"`)}}
	body, err := r.Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, err = DecodeRequest(body, DefaultMaxSize)
	var large *TooLargeError
	if !errors.As(err, &large) || large.MsgID != "m" || large.ReplyQ != "q" || large.Size != len(body) {
		t.Fatalf("%v", err)
	}
	f := FailureOf(err, messaging.V2023_1)
	if want := fmt.Sprintf("the message has %d bytes, more than the 8388608 bytes accepted", len(body)); f.Message != want {
		t.Errorf("message %q, want %q", f.Message, want)
	}
	if f.Class != "InvalidParameterValue" || f.Kwargs["code"] != 400 {
		t.Errorf("failure %+v", f)
	}
	if got, err := DecodeRequest(body, 16<<20); err != nil || len(got.Args["configdrive"]) != 10<<20+2 {
		t.Errorf("with a larger maximum: %v", err)
	}
	if _, err := DecodeRequest([]byte(strings.Repeat("x", 100)), 50); !errors.As(err, &large) {
		t.Errorf("garbage above the maximum: %v", err)
	}
}

func TestCheckArgs(t *testing.T) {
	request := func(names ...string) *Request {
		r := &Request{Method: "get_boot_device", Args: map[string]json.RawMessage{}}
		for _, n := range names {
			r.Args[n] = json.RawMessage("null")
		}
		return r
	}
	for _, tc := range []struct {
		r                  *Request
		required, optional []string
		want               string
	}{
		{request("a"), []string{"a"}, []string{"b"}, ""},
		{request("a", "b"), []string{"a"}, []string{"b"}, ""},
		{request(), []string{"node_id"}, nil, "missing 1 required positional argument: 'node_id'"},
		{request(), []string{"a", "b"}, nil, "missing 2 required positional arguments: 'a' and 'b'"},
		{request(), []string{"a", "b", "c"}, nil, "missing 3 required positional arguments: 'a', 'b', and 'c'"},
		{request("a", "z", "y"), []string{"a"}, nil, "got an unexpected keyword argument 'y'"},
	} {
		err := tc.r.CheckArgs(tc.required, tc.optional)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("unexpected: %v", err)
		case tc.want != "" && (err == nil || err.Error() != "ConductorManager.get_boot_device() "+tc.want):
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

func TestSupports(t *testing.T) {
	for _, tc := range []struct {
		target, requested string
		want              bool
	}{
		{"1.55", "1.55", true}, {"1.55", "1.22", true}, {"1.55", "1.0", true}, {"1.55", "1.56", false},
		{"1.55", "2.0", false}, {"1.55", "9.9", false}, {"1.55", "1.55.1", false}, {"1.55", "1.54.9", true},
		{"1.55", "", false}, {"1.55", "1", false}, {"1.55", "1.x", false}, {"1.55", "1.-1", false},
		{"1.55", "1.99999999999999999999", false},
	} {
		if got := Supports(tc.target, tc.requested); got != tc.want {
			t.Errorf("Supports(%q, %q) = %v", tc.target, tc.requested, got)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	for _, rec := range recordings(f)[:40] {
		f.Add(envelope(f, rec.Request))
		for _, reply := range rec.Replies {
			f.Add(envelope(f, reply))
		}
	}
	f.Add([]byte(`{"oslo.version": "2.0", "oslo.message": "{\"method\": null}"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		_, _ = DecodeReply(body)
		_, _ = DecodeNotification(body)
		r, err := DecodeRequest(body, 1<<20)
		if err != nil {
			if store.KindOf(err) != store.InvalidParameterValue {
				t.Fatalf("a bad message is not the sender's failure: %v", err)
			}
			return
		}
		again, err := r.Encode()
		if err != nil {
			t.Fatalf("cannot encode what was decoded: %v", err)
		}
		if _, err := DecodeRequest(again, 16<<20); err != nil {
			t.Fatalf("cannot decode what was encoded: %v", err)
		}
	})
}

func BenchmarkDecodeRequest(b *testing.B) {
	for _, rec := range recordings(b) {
		if rec.Case != "get_boot_device--ok" && rec.Case != "update_node--several" {
			continue
		}
		b.Run(rec.Case, func(b *testing.B) {
			body := envelope(b, rec.Request)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeRequest(body, DefaultMaxSize); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
