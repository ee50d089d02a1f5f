package jsonrpc

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/messaging/oslo"
	"github.com/ironmaster/ironmaster/store"
)

func TestDecodeTakesARequestApart(t *testing.T) {
	r, err := Decode([]byte(`{"jsonrpc": "2.0", "method": "heartbeat", "id": "req-1", "params": {"node_id": "n",
		"context": {"request_id": "req-1", "roles": ["admin"], "user": "u"}, "rpc.version": "1.54", "callback_url": null}}`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Method != "heartbeat" || !r.IsCall() || string(r.ID) != `"req-1"` || r.NoContext {
		t.Errorf("decoded %+v", r)
	}
	if c := r.Context; c.RequestID != "req-1" || c.User != "u" || len(c.Roles) != 1 {
		t.Errorf("the context is %v", c)
	}
	if len(r.Args) != 2 || string(r.Args["node_id"]) != `"n"` || string(r.Args["callback_url"]) != "null" {
		t.Errorf("the arguments are %s", r.Args)
	}
	if err := r.CheckArgs([]string{"node_id"}, []string{"callback_url"}); err != nil {
		t.Error(err)
	}
}

// What upstream's server answers to each of these was found out by asking it.
func TestRefusalsAreUpstreams(t *testing.T) {
	const invalid = `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Invalid request object received by RPC server"}}`
	for body, want := range map[string]string{
		``:                               `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Invalid JSON received by RPC server"}}`,
		`{`:                              `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Invalid JSON received by RPC server"}}`,
		"\xff":                           `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Invalid JSON received by RPC server"}}`,
		`[]`:                             invalid,
		`null`:                           invalid,
		`7`:                              invalid,
		`{}`:                             invalid,
		`{"jsonrpc":"1.0","method":"x"}`: invalid,
		`{"jsonrpc":"2.0","method":""}`:  invalid,
		`{"jsonrpc":"2.0","method":"x","params":[1]}`:                  invalid,
		`{"jsonrpc":"2.0","method":"x","params":null}`:                 invalid,
		`{"jsonrpc":"2.0","id":{"a": 1}}`:                              strings.Replace(invalid, "null", `{"a":1}`, 1),
		`{"jsonrpc":"2.0","method":"x","id":9,"params":{"context":7}}`: `{"jsonrpc":"2.0","id":9,"error":{"code":-32602,"message":"Context must be a dictionary, if provided"}}`,
	} {
		r, err := Decode([]byte(body))
		if err == nil {
			t.Errorf("%s was taken", body)
			continue
		}
		if got, err := r.EncodeFailure(err, messaging.V2023_1); err != nil || string(got) != want {
			t.Errorf("%s is answered %s (%v), want %s", body, got, err, want)
		}
	}
}

func TestFailuresKeepClassAndCode(t *testing.T) {
	r, err := Decode([]byte(`{"jsonrpc":"2.0","method":"heartbeat","id":1,"params":{"z":1,"context":{},"a":{"b":[2]},"rpc.version":"1.1"}}`))
	if err != nil {
		t.Fatal(err)
	}
	withCode := store.Errorf("InstanceDeployFailure", "no")
	withCode.Code = 400
	for want, failure := range map[string]error{
		`{"code":409,"message":"Node n is locked","data":{"class":"ironic.common.exception.NodeLocked"}}`: store.Errorf(store.NodeLocked, "Node n is locked"),
		`{"code":400,"message":"no","data":{"class":"ironic.common.exception.InstanceDeployFailure"}}`:    withCode,
		`{"code":500,"message":"disk full"}`:                         errors.New("disk full"),
		`{"code":-32601,"message":"Method heartbeat was not found"}`: oslo.NoSuchMethod("heartbeat"),
		`{"code":500,"message":"too new"}`:                           store.Errorf("IncompatibleObjectVersion", "too new"),
		`{"code":-32602,"message":"Params z, a, context are invalid for heartbeat: ConductorManager.heartbeat() ` +
			`got an unexpected keyword argument 'a'"}`: r.CheckArgs([]string{"node_id"}, nil),
	} {
		body, err := r.EncodeFailure(failure, messaging.V2023_1)
		if want = `{"jsonrpc":"2.0","id":1,"error":` + want + `}`; err != nil || string(body) != want {
			t.Errorf("%v becomes %s (%v), want %s", failure, body, err, want)
		}
	}
}

func TestNestingIsCountedOutsideOfStrings(t *testing.T) {
	for body, deep := range map[string]bool{
		`{"a":[1,{"b":2}]}`:              false,
		`{"a":[1,{"b":[2]}]}`:            true,
		`{"a":"[[[[\"[[[["}`:             false,
		`{"a\\":[[[1]]]}`:                true,
		`[][][][]{}{}`:                   false,
		`]]]]]][[[`:                      false,
		strings.Repeat("[", 1_000_000):   true,
		`"` + strings.Repeat("\\", 1001): false,
	} {
		if got := tooDeep([]byte(body), 3); got != deep {
			t.Errorf("%.20s is too deep: %v, want %v", body, got, deep)
		}
	}
}

// Whatever comes is refused or understood, and can be answered with JSON.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","method":"get_boot_device","params":{"context":{},"node_id":"n","rpc.version":"1.17"},"id":3}`,
		`{"jsonrpc":"2.0","method":"continue_node_clean","params":{"context":{"roles":[]}, "node_id":"n"}}`,
		`{"jsonrpc":"2.0","method":"x","params":{"context":7},"id":{"a":[1,"\ud800"]}}`,
		`[{"jsonrpc":"2.0","method":"x","params":{},"id":5}]`, `{"jsonrpc":"2.0","id":1e999}`, `{"a":1,"a":2`, "\xff{}", `null`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		tooDeep(body, 25)
		r, err := Decode(body)
		if err == nil {
			err = r.CheckArgs([]string{"node_id"}, nil)
			if _, encodeErr := r.EncodeResult(r.paramNames()); encodeErr != nil {
				t.Errorf("a result can't be written: %v", encodeErr)
			}
		}
		if err == nil {
			return
		}
		answer, err := r.EncodeFailure(err, messaging.V2023_1)
		if err != nil || !json.Valid(answer) {
			t.Errorf("answered %q (%v)", answer, err)
		}
	})
}
