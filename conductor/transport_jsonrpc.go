package conductor

import (
	"context"
	"fmt"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/messaging/jsonrpc"
	"github.com/ironmaster/ironmaster/messaging/oslo"
)

// JSONTransport is the Transport over HTTP. It listens from the moment its server was made, so that requests can arrive
// before the worker is registered; they wait.
type JSONTransport struct {
	server *jsonrpc.Server
	wire   Wire
	log    zerolog.Logger
}

// NewJSONTransport makes a transport of a server.
func NewJSONTransport(server *jsonrpc.Server, wire Wire, log zerolog.Logger) *JSONTransport {
	return &JSONTransport{server: server, wire: wire, log: log}
}

// Serve is Transport.
func (t *JSONTransport) Serve(ctx context.Context, handle func(context.Context, Message)) {
	err := t.server.Serve(ctx, func(ctx context.Context, d *jsonrpc.Delivery) {
		handle(ctx, &jsonMessage{body: d.Body, request: d.Request, wire: t.wire, delivery: d})
	})
	if err != nil {
		t.log.Error().Err(err).Msg("No more requests can come")
	}
}

// Ready is Transport.
func (t *JSONTransport) Ready(context.Context) error { return nil }

// Health is Transport.
func (t *JSONTransport) Health() (part string, away *Absence) {
	if t.server.Listening() {
		return "json-rpc", nil
	}
	return "json-rpc", &Absence{}
}

// Form is Transport.
func (t *JSONTransport) Form() Form { return FormJSONRPC }

// Again is Transport. Its caller's connection ended with the worker's last life.
func (t *JSONTransport) Again(body []byte) Message { return newLostJSONMessage(body, t.wire) }

// jsonMessage is a request of JSON-RPC.
type jsonMessage struct {
	body    []byte
	request *jsonrpc.Request
	err     error
	wire    Wire
	// delivery is nil when the caller is not connected any more.
	delivery *jsonrpc.Delivery
}

func newLostJSONMessage(body []byte, wire Wire) *jsonMessage {
	m := &jsonMessage{body: body, wire: wire}
	m.request, m.err = jsonrpc.Decode(body)
	return m
}

func (m *jsonMessage) Request() (*oslo.Request, error) {
	if m.err != nil {
		return nil, m.err
	}
	return &m.request.Request, nil
}

func (m *jsonMessage) Body() []byte { return m.body }

func (m *jsonMessage) Ack() error {
	if m.delivery != nil {
		m.delivery.Accepted()
	}
	return nil
}

func (m *jsonMessage) IsCall() bool { return m.request != nil && m.request.IsCall() }

func (m *jsonMessage) Reply(_ context.Context, result any, failure error) error {
	if !m.IsCall() {
		return nil
	}
	if m.delivery == nil {
		return jsonrpc.ErrCallerGone
	}
	var body []byte
	var err error
	if failure != nil {
		body, err = m.request.EncodeFailure(failure, m.wire.Release)
	} else {
		body, err = m.request.EncodeResult(result)
	}
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	return m.delivery.Reply(body)
}

// KeepWaiting is Message: the open connection is sign enough.
func (m *jsonMessage) KeepWaiting(context.Context) (stop func()) { return func() {} }
