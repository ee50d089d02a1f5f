package image

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/store"
)

// Patient is the Service for flows: what it asks of Glance, Keystone and web servers is asked again while they are away, for
// Config.OutageLimit. Whoever is waited for by a user asks the Service itself.
type Patient struct{ *Service }

// Show is Service.Show.
func (p Patient) Show(ctx context.Context, ref Ref) (Metadata, error) { return p.show(ctx, ref, nil) }

// show calls onWait before it waits, if that is not nil.
func (s *Service) show(ctx context.Context, ref Ref, onWait func()) (meta Metadata, err error) {
	w := s.patience(ref.String())
	defer w.end()
	for {
		if meta, err = s.Show(ctx, ref); err == nil {
			return meta, nil
		}
		if err = w.wait(ctx, err, onWait); err != nil {
			return Metadata{}, err
		}
	}
}

// Checksum is Service.Checksum.
func (p Patient) Checksum(ctx context.Context, instance store.Dict) (sum Checksum, err error) {
	w := p.patience("a checksum")
	defer w.end()
	for {
		if sum, err = p.Service.Checksum(ctx, instance); err == nil {
			return sum, nil
		}
		if err = w.wait(ctx, err, nil); err != nil {
			return Checksum{}, err
		}
	}
}

// Sink is where a download goes that may have to begin again.
type Sink interface {
	Write(p []byte) (int, error)
	// Restart throws away what was written.
	Restart() error
}

// DownloadTo is Service.Download that goes on where it was cut, or begins again where the source can do no better.
func (p Patient) DownloadTo(ctx context.Context, ref Ref, to Sink, progress *Progress) (int64, error) {
	w := p.patience(ref.String())
	defer w.end()
	t := transfer{s: p.Service, ref: ref, to: to, restart: to.Restart, progress: progress}
	furthest := int64(0)
	for {
		err := t.run(ctx)
		if err == nil {
			return t.at.offset, nil
		}
		if t.at.offset > furthest {
			// A source that is slow and cut often is not away, as long as it brings the end nearer.
			furthest = t.at.offset
			w.began = time.Time{}
		}
		if err := w.wait(ctx, err, func() { progress.Turn(PhaseAway) }); err != nil {
			return t.at.offset, err
		}
	}
}

const (
	// The pauses between two tries double from the first to the last of these.
	firstRetry = time.Second
	lastRetry  = 15 * time.Second
)

// patience is one caller's wait for a service that is away.
type patience struct {
	s       *Service
	what    string
	service string // that is waited for; "" while nobody waits
	began   time.Time
	pause   time.Duration
}

func (s *Service) patience(what string) *patience { return &patience{s: s, what: what} }

// wait returns nil when it is time to try again after err, and an error when there is no use in that.
func (w *patience) wait(ctx context.Context, err error, onWait func()) error {
	service, away := store.AwayService(err)
	if !away || ctx.Err() != nil {
		return err
	}
	if w.began.IsZero() {
		w.began, w.pause = time.Now(), w.s.firstRetry()
	}
	waited := time.Since(w.began)
	if limit := w.s.cfg.OutageLimit; waited >= limit {
		if limit > 0 {
			err = fmt.Errorf("%w (waited %s for it)", err, waited.Round(time.Second))
		}
		return err
	}
	if w.service != service {
		w.end()
		w.service = service
		w.s.absent.join(w.s.log, service, w.what, err)
	}
	if onWait != nil {
		onWait()
	}
	timer := time.NewTimer(w.pause)
	defer timer.Stop()
	w.pause = min(2*w.pause, lastRetry)
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (w *patience) end() {
	if w.service != "" {
		w.s.absent.leave(w.s.log, w.service)
		w.service = ""
	}
}

func (s *Service) firstRetry() time.Duration { return min(firstRetry, s.glance.pause) }

// Absence is a service that somebody waits for.
type Absence struct {
	Service string
	Since   time.Time
	Reason  error
}

// Away lists the services that flows wait for at the moment, by name.
func (s *Service) Away() []Absence {
	s.absent.mu.Lock()
	defer s.absent.mu.Unlock()
	var all []Absence
	for _, a := range s.absent.services {
		all = append(all, a.Absence)
	}
	slices.SortFunc(all, func(a, b Absence) int { return strings.Compare(a.Service, b.Service) })
	return all
}

// absent is who is waited for, by how many.
type absent struct {
	mu       sync.Mutex
	services map[string]*waitedFor
}

type waitedFor struct {
	Absence
	waiters int
}

func (a *absent) join(log zerolog.Logger, service, what string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.services == nil {
		a.services = map[string]*waitedFor{}
	}
	w := a.services[service]
	if w == nil {
		w = &waitedFor{Absence: Absence{Service: service, Since: time.Now()}}
		a.services[service] = w
		log.Warn().Err(err).Str("service", service).Str("image", what).Msg("A service that holds images is away; waiting for it")
	}
	w.Reason = err
	w.waiters++
}

func (a *absent) leave(log zerolog.Logger, service string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	w := a.services[service]
	if w.waiters--; w.waiters > 0 {
		return
	}
	delete(a.services, service)
	log.Info().Str("service", service).Dur("away", time.Since(w.Since)).Msg("Nobody waits for the service any more")
}
