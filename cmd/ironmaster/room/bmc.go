package room

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// document is the JSON of a Redfish resource.
type document = map[string]any

// bmc is the management controller of one machine: a Redfish service (DMTF DSP0266) on its own port of the room's
// address.
type bmc struct {
	m        *Machine
	password string
	face     *face
	listener net.Listener
	server   *http.Server
	sessions sessions

	stop sync.Once
	// closing is closed first thing by close: it frees the requests that a fault keeps waiting.
	closing chan struct{}
}

func newBMC(m *Machine, ca *authority, number int) (*bmc, error) {
	certificate, err := ca.issue(m.info.Name, m.room.place)
	if err != nil {
		return nil, fmt.Errorf("issuing the BMC's certificate: %w", err)
	}
	port := 0
	if m.room.cfg.BasePort > 0 {
		port = m.room.cfg.BasePort + number
	}
	listener, err := net.Listen("tcp4", net.JoinHostPort(m.room.place.ip.String(), strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("starting the BMC: %w", err)
	}
	b := &bmc{
		m:        m,
		password: m.info.Password,
		face:     m.room.cfg.faceOf(m.info.Name),
		listener: tls.NewListener(listener, serverTLS(certificate)),
		sessions: sessions{timeout: m.room.cfg.SessionTimeout},
		closing:  make(chan struct{}),
	}
	if m.faults.wrongPassword {
		b.password += "-changed"
	}
	b.server = quietServer(m.room.mux)
	b.server.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), bmcKey{}, b)
	}
	return b, nil
}

// bmcKey finds the BMC in the context of a request: one router serves all BMCs of a room.
type bmcKey struct{}

func (b *bmc) address() string { return "https://" + b.m.room.place.url(b.listener.Addr()) }

func (b *bmc) serve() {
	if err := b.server.Serve(b.listener); !errors.Is(err, http.ErrServerClosed) {
		b.m.log.Error().Err(err).Msg("the BMC stopped")
	}
}

// close stops the BMC at once. Serve returns; a request in progress loses its connection.
func (b *bmc) close() error {
	var err error
	b.stop.Do(func() {
		close(b.closing)
		err = errors.Join(b.server.Close(), ignoreClosed(b.listener.Close()))
	})
	return err
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func serverTLS(certificate tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
}

// quietServer returns a server with the timeouts of a small device. What it would log, such as a client that does not
// like the certificate, is the client's to report.
func quietServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 30 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          stdlog.New(io.Discard, "", 0),
	}
}

// route is one Redfish resource: how it looks and what may be done to it. A get that returns nil is a resource that this
// BMC does not have.
type route struct {
	path   string
	open   bool   // needs no login
	vendor string // only this vendor's BMCs have it; empty for all
	get    func(*bmc, *http.Request) document
	patch  func(*bmc, *http.Request, document) *redfishError
	// later is a patch that answers by itself, because it takes effect later.
	later  func(*bmc, http.ResponseWriter, *http.Request, document) *redfishError
	post   func(*bmc, http.ResponseWriter, *http.Request, document) *redfishError
	remove func(*bmc, *http.Request) *redfishError
}

// redfishMux returns the router for all BMCs of a room.
func redfishMux() *http.ServeMux {
	mux := http.NewServeMux()
	for _, routes := range [][]route{serviceRoutes, systemRoutes, managerRoutes, chassisRoutes, volumeRoutes, firmwareRoutes,
		hpeRoutes, dellRoutes, dellControllerRoutes} {
		for _, rt := range routes {
			mux.HandleFunc(rt.path, rt.serve)
			mux.HandleFunc(rt.path+"/{$}", rt.serve)
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		errNotFound(r.URL.Path).write(w)
	})
	return mux
}

func (rt route) serve(w http.ResponseWriter, r *http.Request) {
	b, ok := r.Context().Value(bmcKey{}).(*bmc)
	if !ok {
		errInternal().write(w)
		return
	}
	w.Header().Set("OData-Version", "4.0")
	w.Header().Set("Cache-Control", "no-store")
	if b.misbehave(w, r) {
		return
	}
	if failure := rt.dispatch(b, w, r); failure != nil {
		failure.write(w)
	}
}

func (rt route) dispatch(b *bmc, w http.ResponseWriter, r *http.Request) *redfishError {
	if !(rt.open || rt.openTo(r)) && !b.authorized(r) {
		return errUnauthorized()
	}
	if !b.owns(r) || rt.vendor != "" && rt.vendor != b.face.vendor {
		return errNotFound(r.URL.Path)
	}
	var current document
	if rt.get != nil {
		if current = rt.get(b, r); current == nil {
			return errNotFound(r.URL.Path)
		}
	}
	w.Header().Set("Allow", strings.Join(rt.allowed(), ", "))
	switch {
	case (r.Method == http.MethodGet || r.Method == http.MethodHead) && current != nil:
		return sendResource(w, current)
	case r.Method == http.MethodPatch && (rt.patch != nil || rt.later != nil):
		return rt.change(b, w, r, current)
	case r.Method == http.MethodPost && rt.post != nil:
		body, failure := readBody(r)
		if failure != nil {
			return failure
		}
		return rt.post(b, w, r, body)
	case r.Method == http.MethodDelete && rt.remove != nil:
		if failure := rt.remove(b, r); failure != nil {
			return failure
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return errMethodNotAllowed(r.Method)
}

// openTo lets a client log in without being logged in.
func (rt route) openTo(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.TrimSuffix(r.URL.Path, "/") == sessionsPath
}

func (rt route) allowed() []string {
	var methods []string
	if rt.get != nil {
		methods = append(methods, http.MethodGet, http.MethodHead)
	}
	if rt.patch != nil || rt.later != nil {
		methods = append(methods, http.MethodPatch)
	}
	if rt.post != nil {
		methods = append(methods, http.MethodPost)
	}
	if rt.remove != nil {
		methods = append(methods, http.MethodDelete)
	}
	return methods
}

// change handles a PATCH: the precondition first (DSP0266 §6.5), then the change itself.
func (rt route) change(b *bmc, w http.ResponseWriter, r *http.Request, current document) *redfishError {
	_, tag, err := encodeResource(current)
	if err != nil {
		return errInternal()
	}
	switch match := r.Header.Get("If-Match"); {
	case match == "" && b.m.traits.requireETag:
		return errPreconditionRequired()
	case match != "" && match != "*" && strings.TrimPrefix(match, "W/") != strings.TrimPrefix(tag, "W/"):
		return errPreconditionFailed()
	}
	body, failure := readBody(r)
	if failure != nil {
		return failure
	}
	if rt.later != nil {
		return rt.later(b, w, r, body)
	}
	if failure := rt.patch(b, r, body); failure != nil {
		return failure
	}
	return sendResource(w, rt.get(b, r))
}

// owns tells whether the members that the path names are this machine's.
func (b *bmc) owns(r *http.Request) bool {
	for name, id := range map[string]string{
		"system": b.systemID(), "manager": b.face.managerID, "chassis": b.face.chassisID,
	} {
		if value := r.PathValue(name); value != "" && value != id {
			return false
		}
	}
	return true
}

// misbehave lets the machine's faults happen to a request. It returns true when there is nothing left to answer.
func (b *bmc) misbehave(w http.ResponseWriter, r *http.Request) bool {
	fault := b.m.faults.request()
	switch {
	case fault.silent:
		b.wait(r, nil)
		abandon(w)
		return true
	case fault.delay > 0:
		timer := time.NewTimer(fault.delay)
		defer timer.Stop()
		if !b.wait(r, timer.C) {
			abandon(w)
			return true
		}
	}
	if fault.serverError {
		errUnavailable().write(w)
		return true
	}
	if fault.garbage {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<html><body>Please log in to the management console.</body></html>")
		return true
	}
	if fault.dropSession {
		b.sessions.clear()
	}
	return false
}

// wait keeps a request waiting until elapsed. It returns false when the client or the room gave up first.
func (b *bmc) wait(r *http.Request, elapsed <-chan time.Time) bool {
	// The server notices that a client went away only once it has read the request's body.
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return false
	}
	r.Body = io.NopCloser(bytes.NewReader(text))
	select {
	case <-elapsed:
		return true
	case <-r.Context().Done():
	case <-b.closing:
	}
	return false
}

// abandon closes the connection of a request without an answer.
func abandon(w http.ResponseWriter) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		connection.Close()
	}
}

const maxBody = 1 << 20

// readBody reads the JSON object of a request; an empty body is an empty object.
func readBody(r *http.Request) (document, *redfishError) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return nil, errMalformed()
	}
	body := document{}
	if len(bytes.TrimSpace(text)) == 0 {
		return body, nil
	}
	if err := json.Unmarshal(text, &body); err != nil || body == nil {
		return nil, errMalformed()
	}
	return body, nil
}

func encodeResource(resource document) (text []byte, tag string, err error) {
	text, err = json.Marshal(resource)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(text)
	return text, `W/"` + hex.EncodeToString(sum[:6]) + `"`, nil
}

func sendResource(w http.ResponseWriter, resource document) *redfishError {
	_, tag, err := encodeResource(resource)
	if err != nil {
		return errInternal()
	}
	resource = maps.Clone(resource)
	resource["@odata.etag"] = tag
	text, err := json.Marshal(resource)
	if err != nil {
		return errInternal()
	}
	w.Header().Set("ETag", tag)
	sendJSON(w, http.StatusOK, text)
	return nil
}

// sendJSON sends an answer; a client that is gone by then needs none.
func sendJSON(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}

func link(path string) document { return document{"@odata.id": path} }

func links(paths ...string) []document {
	members := []document{}
	for _, path := range paths {
		members = append(members, link(path))
	}
	return members
}

func collection(path, kind, name string, members ...string) document {
	return document{
		"@odata.id":           path,
		"@odata.type":         "#" + kind + "Collection." + kind + "Collection",
		"Name":                name,
		"Members":             links(members...),
		"Members@odata.count": len(members),
	}
}

// onlyProperties refuses a PATCH that names a property which cannot be set.
func onlyProperties(body document, allowed ...string) *redfishError {
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if !slices.Contains(allowed, name) && !strings.HasPrefix(name, "@odata.") {
			return errPropertyUnknown(name)
		}
	}
	return nil
}
