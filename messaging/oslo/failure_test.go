package oslo

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

// Every recorded reply is understood; a success encodes to the same message, a failure that is rebuilt from its class and
// text to the same class, module, text, arguments and code.
func TestRepliesRoundTrip(t *testing.T) {
	for _, rec := range recordings(t) {
		for i, inner := range rec.Replies {
			t.Run(fmt.Sprint(rec.Case, " ", i), func(t *testing.T) {
				r, err := DecodeReply(envelope(t, inner))
				if err != nil {
					t.Fatal(err)
				}
				want := innerTree(t, inner)
				var body []byte
				switch {
				case r.Failure != nil:
					body, err = EncodeFailure(r.MsgID, FailureOf(rebuild(r.Failure), messaging.V2023_1))
				case r.Ending:
					body, err = EncodeReply(r.MsgID, r.Result)
				default:
					body, err = EncodeKeepalive(r.MsgID)
				}
				if err != nil {
					t.Fatal(err)
				}
				got := tree(t, body)
				if r.Failure != nil {
					onlyWire(got["failure"].(map[string]any))
					onlyWire(want["failure"].(map[string]any))
				}
				wantSame(t, got, want, "_unique_id")
			})
		}
	}
}

// rebuild is the Go error that stands for a recorded failure.
func rebuild(f *Failure) error {
	switch f.Class {
	case "NoSuchMethod", "UnsupportedVersion", "TypeError":
		return &ProtocolError{module: f.Module, class: f.Class, message: f.Message, arg: f.Args[0]}
	case "KeyError", "DBReferenceError":
		return errors.New(f.Message)
	}
	e := store.Errorf(store.Kind(f.Class), "%s", f.Message)
	if code, ok := f.Kwargs["code"].(string); ok {
		e.Code, _ = strconv.Atoi(code)
	}
	return e
}

// onlyWire leaves out what is Python's own: the traceback's middle and the format arguments of the exception. What
// Python did not mean to raise is a plain Exception here.
func onlyWire(f map[string]any) {
	tb := f["tb"].([]any)
	f["tb"] = strings.HasPrefix(tb[0].(string), "Traceback (most recent call last):\n")
	if kwargs := f["kwargs"].(map[string]any); len(kwargs) > 0 {
		f["kwargs"] = map[string]any{"code": kwargs["code"]}
	}
	if f["class"] == "KeyError" || f["class"] == "DBReferenceError" {
		f["class"], f["module"], f["kwargs"] = "Exception", "builtins", map[string]any{}
		f["args"] = []any{f["message"]}
	}
}

func TestFailureOf(t *testing.T) {
	for _, tc := range []struct {
		name          string
		err           error
		release       messaging.Release
		module, class string
		code          any
	}{
		{"wrapped", fmt.Errorf("starting: %w", store.NodeLockedBy("n", "h")), messaging.V2023_1, ironicModule, "NodeLocked", 409},
		{"code of the cause", &store.Error{Kind: store.InstanceDeployFailure, Message: "m", Code: 400}, messaging.V2023_1,
			ironicModule, "InstanceDeployFailure", "400"},
		{"own code", store.Errorf(store.InstanceDeployFailure, "m"), messaging.V2023_1, ironicModule, "InstanceDeployFailure", 500},
		{"code that changed, before", store.Errorf(store.ConcurrentActionLimit, "m"), messaging.V2023_1, ironicModule,
			"ConcurrentActionLimit", 500},
		{"code that changed, after", store.Errorf(store.ConcurrentActionLimit, "m"), messaging.V2025_1, ironicModule,
			"ConcurrentActionLimit", 503},
		{"class not there yet", store.Errorf("StepNotAllowed", "m"), messaging.V28_0, ironicModule, "InvalidParameterValue", 400},
		{"class there", store.Errorf("StepNotAllowed", "m"), messaging.V2025_1, ironicModule, "StepNotAllowed", 400},
		{"conflict not there yet", store.Errorf("ParentNodeLocked", "m"), messaging.V2023_1, ironicModule, "Conflict", 409},
		{"unknown kind", store.Errorf("Bogus", "m"), messaging.V2023_1, ironicModule, "IronicException", 500},
		{"object version", store.Errorf(store.IncompatibleObjectVersion, "m"), messaging.V2023_1,
			"oslo_versionedobjects.exception", "IncompatibleObjectVersion", nil},
		{"anything else", errors.New("disk full"), messaging.V2023_1, "builtins", "Exception", nil},
		{"no such method", NoSuchMethod("x"), messaging.V2023_1, dispatcherModule, "NoSuchMethod", nil},
		{"bad version", UnsupportedVersion("9.9", "x"), messaging.V2023_1, dispatcherModule, "UnsupportedVersion", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := FailureOf(tc.err, tc.release)
			if f.Module != tc.module || f.Class != tc.class || f.Kwargs["code"] != tc.code {
				t.Errorf("%+v", f)
			}
			if len(f.TB) != 1 || !strings.HasPrefix(f.TB[0], tracebackMarker) {
				t.Errorf("traceback %q must be one text that begins with the marker", f.TB)
			}
			if len(f.Args) != 1 || f.Args[0] != f.Message {
				t.Errorf("args %q, message %q", f.Args, f.Message)
			}
		})
	}
}

// Every kind that the model declares has a class in the oldest release, so that none is shown as an unknown failure.
func TestEveryKindHasAClass(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../store/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); !ok || id.Name != "Kind" {
			return true
		}
		name, _ := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		seen++
		if _, ok := classes[store.Kind(name)]; !ok {
			t.Errorf("kind %s has no exception class", name)
		}
		return true
	})
	if seen < 50 {
		t.Errorf("only %d kinds found", seen)
	}
}

func TestDecodeReplyRefuses(t *testing.T) {
	for _, inner := range []string{`{}`, `{"_msg_id": 5}`, `{"_msg_id": "m", "failure": "no JSON"}`, `{"_msg_id": "m", "failure": {}}`,
		`{"_msg_id": "m", "ending": "yes"}`} {
		if _, err := DecodeReply(envelope(t, json.RawMessage(inner))); err == nil {
			t.Errorf("%s was accepted", inner)
		}
	}
}
