package conductor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ironmaster/ironmaster/store/local"
)

// LockView is one lock as operators see it.
type LockView struct {
	Node      string    `json:"node"`
	Shared    bool      `json:"shared"`
	Purpose   string    `json:"purpose"`
	RequestID string    `json:"request_id"`
	Since     time.Time `json:"since"`
	Epoch     uint64    `json:"epoch"`
}

// ViewLocks turns lock records into what operators see.
func ViewLocks(locks []local.Lock) []LockView {
	views := make([]LockView, len(locks))
	for i, l := range locks {
		views[i] = LockView{Node: l.Node, Shared: l.Shared, Purpose: l.Purpose, RequestID: l.RequestID, Since: l.Since,
			Epoch: l.Epoch}
	}
	return views
}

// Health is what /healthz answers. Every part is "ok" or says what is wrong.
type Health struct {
	Host  string            `json:"host"`
	Ready bool              `json:"ready"`
	Parts map[string]string `json:"parts"`
	// PID is the worker's process.
	PID int `json:"pid"`
	// Draining is there while the worker drains.
	Draining *DrainView `json:"draining,omitempty"`
}

// AdminError is what an operator is answered who asks for what can't be told.
type AdminError struct {
	Error string `json:"error"`
}

// AdminHandler serves /metrics, /healthz, /locks, /explain and /events to operators. It tells no secrets and changes nothing.
func (c *Conductor) AdminHandler(gatherer prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		h := c.Health()
		status := http.StatusOK
		if !h.Ready {
			status = http.StatusServiceUnavailable
		}
		c.writeJSON(w, status, h)
	})
	mux.HandleFunc("GET /locks", func(w http.ResponseWriter, _ *http.Request) {
		c.writeJSON(w, http.StatusOK, ViewLocks(c.local.Locks()))
	})
	mux.HandleFunc("POST /locks/release", c.serveUnlock)
	mux.HandleFunc("GET /explain", c.serveExplanation)
	mux.HandleFunc("GET /events", c.serveEvents)
	return mux
}

// Health tells whether the worker can do its work.
func (c *Conductor) Health() Health {
	h := Health{Host: c.cfg.Host, Ready: true, Parts: map[string]string{"registration": "ok"}, PID: os.Getpid(),
		Draining: c.draining()}
	if !c.atWork.Load() {
		h.Parts["registration"], h.Ready = "starting", false
	} else if how, ending := c.ending.way(); ending && how == Drain {
		h.Parts["registration"], h.Ready = "draining", false
	} else if ending {
		h.Parts["registration"], h.Ready = "stopping", false
	} else if err := c.mayAct(); c.lease.lost.Load() {
		h.Parts["registration"], h.Ready = err.Error(), false
	} else if err != nil {
		lapsed := c.now().Add(c.lapse() - c.lease.age(c.uptime()))
		h.Parts["registration"], h.Ready = fmt.Sprintf("lapsed at %s: %s", lapsed.UTC().Format(time.RFC3339), err), false
	}
	text, writable := c.fileHealth()
	h.Parts["state_file"], h.Ready = text, h.Ready && writable
	part, away := c.transport.Health()
	if h.Parts[part] = "ok"; away != nil {
		h.Parts[part], h.Ready = away.String(), false
	}
	h.Parts["database"] = "ok"
	if since, reason := c.db.Away(); !since.IsZero() {
		h.Parts["database"], h.Ready = Absence{since, reason}.String(), false
	}
	// A worker whose flows wait for images does the rest of its work.
	for service, away := range c.images.Away() {
		h.Parts[service] = away.String()
	}
	return h
}

// String is what operators read.
func (a Absence) String() string {
	text := "away"
	if !a.Since.IsZero() {
		text += " since " + a.Since.UTC().Format(time.RFC3339)
	}
	if a.Reason != nil {
		text += ": " + strings.Join(strings.Fields(a.Reason.Error()), " ")
	}
	return text
}

func (c *Conductor) writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		c.log.Debug().Err(err).Msg("Answering an operator failed")
	}
}
