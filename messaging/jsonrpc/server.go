package jsonrpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

const (
	// headerTimeout and bodyTimeout bound how long a client may take to send a request.
	headerTimeout = 10 * time.Second
	bodyTimeout   = time.Minute
	// idleTimeout is how long a connection without a request stays, as upstream's.
	idleTimeout = 15 * time.Minute
	maxHeader   = 64 << 10
	// drainSize is how much of a request that is too large is still read, in bytes: a client that is answered while it
	// sends sees a broken connection instead of the answer.
	drainSize = 128 << 20
)

// ErrCallerGone tells that the caller of a request has hung up: nobody waits for the answer any more.
var ErrCallerGone = errors.New("the caller has hung up")

// Authenticator decides who may call.
type Authenticator interface {
	// Authenticate returns nil for a request that may go on, and else what to answer.
	Authenticate(r *http.Request) *Answer
}

// Config says which requests a Server takes.
type Config struct {
	// Auth is nil when everybody may call.
	Auth Authenticator
	// TLS is nil without.
	TLS *tls.Config
	// Concurrency is how many requests run at once; 64 when zero.
	Concurrency int
	// MaxSize bounds a body, in bytes.
	MaxSize int
	// MaxDepth bounds how deep JSON is nested; 0 is no bound.
	MaxDepth int
	// Release is the ironic release whose clients are answered.
	Release messaging.Release
	Log     zerolog.Logger
}

// Delivery is one request that came.
type Delivery struct {
	// Body is the request as it came, Request what it says.
	Body    []byte
	Request *Request

	answer chan *Answer
	gone   <-chan struct{}
}

// Accepted tells the sender of a cast that its request is in safe hands; a call hears nothing before its result.
func (d *Delivery) Accepted() {
	if !d.Request.IsCall() {
		d.send(&Answer{Status: http.StatusNoContent})
	}
}

// Reply answers a call. The error is ErrCallerGone.
func (d *Delivery) Reply(body []byte) error {
	select {
	case <-d.gone:
		return ErrCallerGone
	default:
	}
	d.send(&Answer{Status: http.StatusOK, Body: body})
	return nil
}

// send keeps the first answer.
func (d *Delivery) send(a *Answer) {
	select {
	case d.answer <- a:
	default:
	}
}

// Handler takes one request; it may stand aside (messaging.StandAside). Its context is not cancelled when the caller hangs up or the server stops: what was accepted
// is done.
type Handler func(ctx context.Context, d *Delivery)

// Server takes requests on one listener.
type Server struct {
	cfg      Config
	listener net.Listener
	slots    chan struct{}
	running  sync.WaitGroup
	up       atomic.Bool
}

// NewServer makes a server that takes its requests from listener. Serve closes it.
func NewServer(listener net.Listener, cfg Config) *Server {
	if cfg.Concurrency <= 0 {
		cfg.Concurrency = 64
	}
	if cfg.TLS != nil {
		listener = tls.NewListener(listener, cfg.TLS)
	}
	return &Server{cfg: cfg, listener: listener, slots: make(chan struct{}, cfg.Concurrency)}
}

// Serve hands requests to handle until ctx ends. Then it takes no more, lets the running ones end, answers them and
// returns. An error tells why it ended earlier.
func (s *Server) Serve(ctx context.Context, handle Handler) error {
	lasting := context.WithoutCancel(ctx)
	web := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.serve(lasting, w, r, handle) }),
		ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: stdlog.New(s.cfg.Log, "", 0),
	}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(s.listener) }()
	s.up.Store(true)
	defer s.up.Store(false)
	defer s.running.Wait()
	select {
	case err := <-ended:
		return fmt.Errorf("serving JSON-RPC at %s: %w", s.listener.Addr(), err)
	case <-ctx.Done():
	}
	// Nothing that is waited for lasts for ever: handlers end with the worker, and clients have deadlines.
	if err := web.Shutdown(lasting); err != nil {
		return fmt.Errorf("ending JSON-RPC at %s: %w", s.listener.Addr(), err)
	}
	<-ended
	return nil
}

// Listening tells whether requests can come.
func (s *Server) Listening() bool { return s.up.Load() }

func (s *Server) serve(ctx context.Context, w http.ResponseWriter, r *http.Request, handle Handler) {
	if a := s.take(ctx, w, r, handle); a != nil {
		if err := a.write(w); err != nil {
			s.cfg.Log.Debug().Err(err).Str("peer", r.RemoteAddr).Msg("Answering a caller failed")
		}
	}
}

// take returns what to answer, nil when nobody waits for it any more.
func (s *Server) take(ctx context.Context, w http.ResponseWriter, r *http.Request, handle Handler) *Answer {
	if s.cfg.Auth != nil {
		if a := s.cfg.Auth.Authenticate(r); a != nil {
			return a
		}
	}
	body, refused := s.read(w, r)
	if refused != nil {
		return refused
	}
	request, err := Decode(body)
	if err != nil {
		s.cfg.Log.Warn().Err(err).Int("bytes", len(body)).Str("peer", r.RemoteAddr).Msg("A request was refused")
		return s.refuse(request, err)
	}
	select {
	case s.slots <- struct{}{}:
	case <-r.Context().Done():
		return nil
	}
	d := &Delivery{Body: body, Request: request, answer: make(chan *Answer, 1), gone: r.Context().Done()}
	s.running.Go(func() {
		giveBack := sync.OnceFunc(func() { <-s.slots })
		defer giveBack()
		// For a request that comes to nothing, because the worker ends before it may act.
		defer d.send(&Answer{Status: http.StatusServiceUnavailable})
		handle(messaging.WithPlace(ctx, giveBack), d)
	})
	select {
	case a := <-d.answer:
		return a
	case <-r.Context().Done():
		return nil
	}
}

// read takes the body, within limits.
func (s *Server) read(w http.ResponseWriter, r *http.Request) ([]byte, *Answer) {
	if r.Method != http.MethodPost {
		return nil, refusal(http.StatusMethodNotAllowed, "Only POST method can be used")
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		return nil, refusal(http.StatusInternalServerError, "The request could not be read")
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, int64(s.cfg.MaxSize)+1))
	if err != nil {
		return nil, refusal(http.StatusBadRequest, "The request could not be read")
	}
	if len(body) > s.cfg.MaxSize {
		_, _ = io.CopyN(io.Discard, r.Body, drainSize)
		// The user of ironic-api is told why, other than by HTTP's own code for it.
		return nil, s.refuse(nil, store.Errorf(store.InvalidParameterValue,
			"the request has more than the %d bytes accepted", s.cfg.MaxSize))
	}
	// From here on the connection is watched for a caller that hangs up, however long its call takes.
	if err := control.SetReadDeadline(time.Time{}); err != nil {
		return nil, refusal(http.StatusInternalServerError, "The request could not be read")
	}
	if s.cfg.MaxDepth > 0 && strings.Contains(r.Header.Get("Content-Type"), "json") && tooDeep(body, s.cfg.MaxDepth) {
		s.cfg.Log.Warn().Str("peer", r.RemoteAddr).Int("limit", s.cfg.MaxDepth).Msg("A request is nested too deeply")
		return nil, &Answer{Status: http.StatusBadRequest, Body: []byte(deepBody)}
	}
	return body, nil
}

// deepBody is what ironic 39.0 answers.
const deepBody = `{"faultcode": "Client", "faultstring": "Request body JSON is nested too deeply. ` +
	`Please contact the service administrator."}`

// refuse answers what can't be understood. r is nil when it could not be read at all.
func (s *Server) refuse(r *Request, err error) *Answer {
	if r != nil && !r.IsCall() {
		return &Answer{Status: http.StatusNoContent}
	}
	body, encodeErr := r.EncodeFailure(err, s.cfg.Release)
	if encodeErr != nil {
		return refusal(http.StatusInternalServerError, "The answer could not be written")
	}
	return &Answer{Status: http.StatusOK, Body: body}
}
