package tftp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"strings"
	"time"

	library "github.com/pin/tftp/v3"
	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/drivers"
)

// What machines are told when nothing is wrong with the file.
var (
	errBusy     = errors.New("too many transfers at once")
	errReadOnly = errors.New("this server takes no files")
	errClosing  = errors.New("the server ends")
	errTooLong  = errors.New("the transfer took too long")
	errInternal = errors.New("internal error")
)

// receiveBuffer holds the requests of many machines that are switched on together. The system may give less.
const receiveBuffer = 1 << 20

// Server serves a Tree by TFTP, to be read only.
type Server struct {
	cfg     Config
	tree    Tree
	log     zerolog.Logger
	metrics metrics
	report  func(drivers.Transfer)
	tftp    *library.Server
	// running holds a token for each transfer, waiting one for each request that has to wait for its place.
	running, waiting chan struct{}
	closing          context.Context
	end              context.CancelCauseFunc
	served           chan struct{} // closed when the serving goroutine has ended; nil while there is none
}

// New builds a server that does not listen yet. report is told, by the goroutines of the transfers, how far each is: at most
// twice a second, and at its end. It must not block.
func New(cfg Config, report func(drivers.Transfer), log zerolog.Logger) *Server {
	s := &Server{cfg: cfg, tree: NewTree(cfg.Root), log: log, metrics: newMetrics(), report: report,
		running: make(chan struct{}, cfg.MaxTransfers), waiting: make(chan struct{}, cfg.MaxTransfers)}
	s.closing, s.end = context.WithCancelCause(context.Background())
	s.tftp = library.NewServer(s.read, s.write)
	s.tftp.SetTimeout(cfg.Timeout)
	s.tftp.SetRetries(cfg.Retries)
	s.tftp.SetBackoff(s.backoff)
	s.tftp.SetHook(hook{s})
	return s
}

// backoff is the additional wait before a block is sent again: longer each time, and none when the server ends.
func (s *Server) backoff(attempt int) time.Duration {
	if s.closing.Err() != nil {
		return 0
	}
	return time.Duration(attempt) * s.cfg.Timeout
}

// Start listens, and serves in the background until Close. It returns the address.
func (s *Server) Start(ctx context.Context) (net.Addr, error) {
	socket, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", s.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listening for requests of TFTP: %w", err)
	}
	if udp, ok := socket.(*net.UDPConn); ok {
		if err := udp.SetReadBuffer(receiveBuffer); err != nil {
			s.log.Debug().Err(err).Msg("Enlarging the receive buffer of TFTP failed")
		}
	}
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.tftp.Serve(socket); err != nil {
			s.log.Error().Err(err).Msg("The TFTP server stopped")
		}
	}()
	return socket.LocalAddr(), nil
}

// Close stops listening, cuts transfers at their next block and waits for their end, or that of ctx. A peer that has fallen
// silent keeps its transfer until it is given up.
func (s *Server) Close(ctx context.Context) error {
	s.end(errClosing)
	if s.served == nil {
		return nil
	}
	down := make(chan struct{})
	go func() {
		defer close(down)
		s.tftp.Shutdown()
		<-s.served
	}()
	select {
	case <-down:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("ending the TFTP server: %d transfers wait for silent peers: %w", len(s.running), context.Cause(ctx))
	}
}

// peerOf is who sent a request.
func peerOf(request any) string {
	if r, ok := request.(interface{ RemoteAddr() net.UDPAddr }); ok {
		addr := r.RemoteAddr()
		return addr.String()
	}
	return ""
}

// write refuses a request to write.
func (s *Server) write(name string, request io.WriterTo) error {
	s.metrics.requests.WithLabelValues(refused).Inc()
	s.log.Warn().Str("peer", peerOf(request)).Str("file", name).Msg("Refused to take a file by TFTP")
	return errReadOnly
}

// read answers a request to read. What it returns is sent to the machine, so it says nothing about this host.
func (s *Server) read(name string, request io.ReaderFrom) (err error) {
	log := s.log.With().Str("peer", peerOf(request)).Str("file", name).Logger()
	defer func() {
		// The library panics where an answer to options outgrows its buffer: a blksize of hundreds of zeros does that.
		if p := recover(); p != nil {
			s.metrics.requests.WithLabelValues(broken).Inc()
			log.Error().Interface("panic", p).Bytes("stack", debug.Stack()).Msg("A request of TFTP made the server panic")
			err = errInternal
		}
	}()
	if !s.enter() {
		s.metrics.requests.WithLabelValues(busy).Inc()
		log.Warn().Int("limit", s.cfg.MaxTransfers).Msg("Refused a transfer by TFTP, there are too many at once")
		return errBusy
	}
	defer func() { <-s.running }()
	s.metrics.active.Inc()
	defer s.metrics.active.Dec()
	file, err := s.tree.Open(name)
	if err != nil {
		return s.refuse(log, err)
	}
	defer file.Close()
	s.send(log, file, request)
	return nil
}

// enter takes a place among the running transfers, and waits for one if need be.
func (s *Server) enter() bool {
	select {
	case s.running <- struct{}{}:
		return true
	default:
	}
	select {
	case s.waiting <- struct{}{}:
	default:
		return false
	}
	defer func() { <-s.waiting }()
	timer := time.NewTimer(s.cfg.QueueTime)
	defer timer.Stop()
	select {
	case s.running <- struct{}{}:
		return true
	case <-timer.C:
	case <-s.closing.Done():
	}
	return false
}

// refuse notes why a file is not given out, and returns what the machine is told. Loaders look for several names
// before they find theirs: that a file is not there is no news.
func (s *Server) refuse(log zerolog.Logger, err error) error {
	s.metrics.requests.WithLabelValues(refused).Inc()
	switch {
	case errors.Is(err, ErrNotFound):
		log.Debug().Msg("There is no such file to send by TFTP")
	case errors.Is(err, ErrRefused):
		log.Warn().Msg("Refused to send by TFTP what is outside of the folder, or no file")
	default:
		log.Error().Err(err).Msg("A file cannot be sent by TFTP")
		return errInternal
	}
	return err
}

// send sends a file. The library has told the machine what went wrong, if anything.
func (s *Server) send(log zerolog.Logger, file *File, request io.ReaderFrom) {
	ctx, cancel := context.WithTimeoutCause(s.closing, s.cfg.Longest, errTooLong)
	defer cancel()
	if sized, ok := request.(interface{ SetSize(int64) }); ok {
		sized.SetSize(file.Size)
	}
	t := newTransfer(ctx, file, peerOf(request), s.cfg.RateLimit, s.report)
	began := time.Now()
	_, err := request.ReadFrom(t)
	s.metrics.bytes.Add(float64(t.state.Bytes))
	s.report(t.state)
	event, result := log.Info(), ended
	if err != nil {
		// The words of a peer end in a zero.
		event, result = log.Info().Str("error", strings.TrimRight(err.Error(), "\x00")), broken
	}
	s.metrics.requests.WithLabelValues(result).Inc()
	event.Str("node", file.Node).Int64("bytes", t.state.Bytes).Int64("size", file.Size).
		Dur("took", time.Since(began)).Msg("Sent a file by TFTP: " + result)
}

// hook hears of what the library keeps to itself.
type hook struct{ s *Server }

// OnSuccess is told of each transfer that came to its end.
func (h hook) OnSuccess(stats library.TransferStats) { h.count(stats) }

// OnFailure is told of each that did not, and of packets that are no requests.
func (h hook) OnFailure(stats library.TransferStats, err error) {
	if stats.RemoteAddr == nil {
		h.s.metrics.requests.WithLabelValues(malformed).Inc()
		h.s.log.Debug().Err(err).Msg("A packet is no request of TFTP")
		return
	}
	h.count(stats)
}

func (h hook) count(stats library.TransferStats) {
	h.s.metrics.resent.Add(float64(max(0, stats.DatagramsSent-stats.DatagramsAcked)))
}
