package image

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// pathPrefix begins every URL of the server.
const pathPrefix = "/images/"

// Offer is something to publish for one node: a file, or bytes such as a config drive.
type Offer struct {
	// Node is the UUID of the node that will fetch it.
	Node string
	// Name ends the URL, such as disk or boot.iso; some BMCs look at its extension. One name per node is published at a
	// time; publishing it again replaces it.
	Name string
	// Path is the file to serve. It must not change while it is published. Without it Open gives the content, which must
	// not change either, and without both Data is served.
	Path string
	Open func() (io.ReadSeekCloser, error)
	Data []byte
	// Token is the secret part of the URL. Empty means a new one; after a restart the caller passes the old one, so that
	// the URL which the node already has goes on working.
	Token string
	// OnProgress is called, never by two goroutines at once for one request, as the node takes bytes: at most twice a
	// second, and when a request ends. It must not block. May be nil.
	OnProgress func(Snapshot)
}

// Publication is an offer that can be fetched. URL and Token are secrets of the node.
type Publication struct {
	URL   string
	Token string
}

// String keeps the URL out of logs.
func (Publication) String() string { return "image.Publication{secret}" }

// GoString keeps the URL out of %#v.
func (p Publication) GoString() string { return p.String() }

// Server serves images, ISOs and config drives to nodes and BMCs, each under a path that nobody can guess, until they
// are withdrawn, and under all other paths the files of Plain. It lists nothing.
type Server struct {
	cfg  ServerConfig
	log  zerolog.Logger
	http *http.Server

	mu        sync.Mutex
	base      string // URL in front of pathPrefix
	listening bool
	byToken   map[string]*publication
	recall    recall
	served    chan struct{} // closed when the serving goroutine has ended
	serveErr  error
}

// publication is one published offer. withdrawn ends the transfers that are under way.
type publication struct {
	Offer
	size      int64
	etag      string
	withdrawn context.Context
	withdraw  context.CancelFunc
	// plain is the file of a request for a plain name, which ends with that request; modified is its age.
	plain    *os.File
	modified time.Time

	mu    sync.Mutex // guards taken against two ranges that end at once
	taken Progress   // of the latest pass over the file
}

// NewServer builds a server that does not listen yet.
func NewServer(cfg ServerConfig, log zerolog.Logger) *Server {
	s := &Server{cfg: cfg, log: log, base: strings.TrimRight(cfg.BaseURL, "/"),
		byToken: map[string]*publication{}, recall: newRecall(), served: make(chan struct{})}
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: cfg.HeaderTimeout, IdleTimeout: cfg.StallTimeout,
		MaxHeaderBytes: 64 << 10}
	return s
}

// Start listens and serves in the background until Close. When no BaseURL is configured, it becomes the address that the
// server listens on.
func (s *Server) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.cfg.Listen)
	if err != nil {
		return fmt.Errorf("listening for image requests: %w", err)
	}
	scheme := "http"
	if s.cfg.CertFile != "" {
		scheme = "https"
	}
	s.mu.Lock()
	if s.base == "" {
		s.base = scheme + "://" + listener.Addr().String()
	}
	s.listening = true
	s.recall.begin(time.Now(), s.cfg.RecallTime)
	s.mu.Unlock()
	go func() {
		defer close(s.served)
		err := s.serve(listener)
		if !errors.Is(err, http.ErrServerClosed) {
			s.log.Error().Err(err).Msg("the image server stopped")
			s.serveErr = err
		}
	}()
	return nil
}

func (s *Server) serve(listener net.Listener) error {
	if s.cfg.CertFile != "" {
		return s.http.ServeTLS(listener, s.cfg.CertFile, s.cfg.KeyFile)
	}
	return s.http.Serve(listener)
}

// Close stops listening, lets transfers finish until ctx ends, and then cuts them. It returns when all is down.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.recall.end()
	s.mu.Unlock()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.mu.Lock()
	listening := s.listening
	for _, p := range s.byToken {
		p.withdraw()
	}
	clear(s.byToken)
	s.mu.Unlock()
	if listening {
		<-s.served
		err = errors.Join(err, s.serveErr)
	}
	if err != nil {
		return fmt.Errorf("stopping the image server: %w", err)
	}
	return nil
}

var (
	safeName  = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	safeToken = regexp.MustCompile(`^[A-Za-z0-9_-]{32,128}$`)
)

// Publish makes an offer available and returns its URL.
func (s *Server) Publish(offer Offer) (Publication, error) {
	if offer.Node == "" || !safeName.MatchString(offer.Name) {
		return Publication{}, fmt.Errorf("publishing %q for node %q: the name or node is malformed", offer.Name, offer.Node)
	}
	if offer.Token == "" {
		offer.Token = newToken()
	} else if !safeToken.MatchString(offer.Token) {
		return Publication{}, fmt.Errorf("publishing %s for node %s: the token is malformed", offer.Name, offer.Node)
	}
	p := &publication{Offer: offer, size: int64(len(offer.Data)), etag: `"` + newToken()[:16] + `"`}
	if offer.Path != "" {
		info, err := os.Stat(offer.Path)
		if err != nil {
			return Publication{}, fmt.Errorf("publishing %s for node %s: %w", offer.Name, offer.Node, err)
		}
		if !info.Mode().IsRegular() {
			return Publication{}, fmt.Errorf("publishing %s for node %s: not a regular file", offer.Name, offer.Node)
		}
		p.size = info.Size()
	} else if offer.Open != nil {
		size, err := contentSize(offer.Open)
		if err != nil {
			return Publication{}, fmt.Errorf("publishing %s for node %s: %w", offer.Name, offer.Node, err)
		}
		p.size = size
	}
	p.taken.Begin(PhaseServe, p.size)
	p.withdrawn, p.withdraw = context.WithCancel(context.Background())

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.base == "" {
		p.withdraw()
		return Publication{}, fmt.Errorf("publishing %s for node %s: the server neither listens nor has a base URL", offer.Name, offer.Node)
	}
	if old, taken := s.byToken[offer.Token]; taken && (old.Node != offer.Node || old.Name != offer.Name) {
		p.withdraw()
		return Publication{}, fmt.Errorf("publishing %s for node %s: the token is in use", offer.Name, offer.Node)
	}
	s.remove(offer.Node, offer.Name)
	s.byToken[offer.Token] = p
	s.recall.publish(offer.Token)
	return Publication{URL: s.base + pathPrefix + offer.Token + "/" + url.PathEscape(offer.Name), Token: offer.Token}, nil
}

// Withdraw takes back what is published for a node, all of it or only the names given. Its URLs answer 404 from then on,
// and transfers under way are cut.
func (s *Server) Withdraw(node string, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(node, names...)
}

func (s *Server) remove(node string, names ...string) {
	for token, p := range s.byToken {
		if p.Node == node && (len(names) == 0 || slices.Contains(names, p.Name)) {
			p.withdraw()
			delete(s.byToken, token)
			s.recall.withdraw(token, time.Now())
		}
	}
}

// Nodes lists the UUIDs of nodes that something is published for.
func (s *Server) Nodes() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	nodes := map[string]bool{}
	for _, p := range s.byToken {
		nodes[p.Node] = true
	}
	return slices.Collect(maps.Keys(nodes))
}

func (s *Server) lookup(urlPath string) *publication {
	rest, ok := strings.CutPrefix(urlPath, pathPrefix)
	if !ok {
		return nil
	}
	token, name := path.Split(rest)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byToken[strings.TrimSuffix(token, "/")]
	if p == nil || p.Name != name {
		return nil
	}
	return p
}

// ServeHTTP answers a node.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	p := s.await(r.Context(), r.URL.Path)
	// The connection may carry the deadline of an earlier request.
	if err := extendDeadline(control, s.cfg.StallTimeout); err != nil {
		s.log.Debug().Err(err).Msg("setting a deadline for an image request")
	}
	if r.ContentLength != 0 && s.cfg.HeaderTimeout > 0 {
		// Nobody reads a body, but net/http looks for its end before the next request, without a bound of its own.
		if err := control.SetReadDeadline(time.Now().Add(s.cfg.HeaderTimeout)); err != nil {
			s.log.Debug().Err(err).Msg("setting a deadline for the body of an image request")
		}
	}
	if p == nil && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		p = s.plain(r.URL.Path, r.RemoteAddr)
	}
	if p == nil {
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	content, modified, err := p.open()
	if err != nil {
		s.log.Error().Err(err).Str("node", p.Node).Str("name", p.Name).Msg("a published file cannot be read")
		http.Error(w, "the file cannot be read", http.StatusInternalServerError)
		return
	}
	defer content.Close()
	// The type is given because ServeContent would otherwise guess it from the first bytes.
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("ETag", p.etag)
	counted := &countingWriter{ResponseWriter: w, control: control, stall: s.cfg.StallTimeout, p: p,
		get: r.Method == http.MethodGet}
	defer counted.finish()
	// A transfer that waits for its peer at the moment of a withdrawal ends at once.
	defer context.AfterFunc(p.withdrawn, func() {
		if err := control.SetWriteDeadline(time.Now()); err != nil {
			s.log.Debug().Err(err).Str("node", p.Node).Msg("cutting a transfer")
		}
	})()
	http.ServeContent(counted, r, "", modified, content)
}

func contentSize(open func() (io.ReadSeekCloser, error)) (int64, error) {
	content, err := open()
	if err != nil {
		return 0, err
	}
	defer content.Close()
	return content.Seek(0, io.SeekEnd)
}

type bytesContent struct{ *bytes.Reader }

func (bytesContent) Close() error { return nil }

func (p *publication) open() (io.ReadSeekCloser, time.Time, error) {
	switch {
	case p.plain != nil:
		return p.plain, p.modified, nil
	case p.Path != "":
	case p.Open != nil:
		content, err := p.Open()
		return content, time.Time{}, err
	default:
		return bytesContent{bytes.NewReader(p.Data)}, time.Time{}, nil
	}
	file, err := os.Open(p.Path)
	if err != nil {
		return nil, time.Time{}, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, time.Time{}, err
	}
	return file, info.ModTime(), nil
}

// newToken returns 128 random bits in hex.
func newToken() string {
	var b [16]byte
	rand.Read(b[:]) //nolint:errcheck // crypto/rand.Read never fails
	return hex.EncodeToString(b[:])
}
