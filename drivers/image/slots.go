package image

import (
	"context"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/sync/semaphore"
)

// slots bound how much is done at once at each place by itself: a server that is slow takes none from the others.
type slots struct {
	each int64

	mu sync.Mutex
	at map[string]*slotsAt
}

type slotsAt struct {
	free *semaphore.Weighted
	// users are those who have a slot or wait for one; a place without users is forgotten.
	users int
}

func newSlots(each int) *slots { return &slots{each: int64(max(1, each)), at: map[string]*slotsAt{}} }

// acquire waits for a slot at a place; leave gives it back.
func (s *slots) acquire(ctx context.Context, place string) (leave func(), err error) {
	s.mu.Lock()
	at := s.at[place]
	if at == nil {
		at = &slotsAt{free: semaphore.NewWeighted(s.each)}
		s.at[place] = at
	}
	at.users++
	s.mu.Unlock()
	forget := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if at.users--; at.users == 0 {
			delete(s.at, place)
		}
	}
	if err := at.free.Acquire(ctx, 1); err != nil {
		forget()
		return nil, err
	}
	return func() {
		at.free.Release(1)
		forget()
	}, nil
}

// placeConversion is this host, where images are converted.
const placeConversion = "qemu-img"

// server names where an image's bytes come from.
func (r Ref) server() string {
	if IsGlance(r.Href) {
		return string(OriginGlance)
	}
	if u, err := url.Parse(r.Href); err == nil && u.Host != "" {
		return u.Scheme + "://" + strings.ToLower(u.Host)
	}
	return string(OriginFile)
}
