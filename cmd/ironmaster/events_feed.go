package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/messaging/rabbit"
)

const (
	// feedRetry is the pause before a conductor that went away is asked again.
	feedRetry = time.Second
	// maxEvent bounds one event, in bytes.
	maxEvent = 16 << 20
)

// conductorFeed follows the events of the conductor on this machine at the operators' address: where requests come by
// JSON-RPC there need not be a broker.
type conductorFeed struct {
	address string

	mu     sync.Mutex
	status rabbit.Status
}

// Run is subscription.
func (f *conductorFeed) Run(ctx context.Context, handle func(routingKey string, body []byte)) {
	for ctx.Err() == nil {
		err := f.follow(ctx, handle)
		f.set(rabbit.Status{Host: f.address, Err: err})
		_ = drivers.Pause(ctx, feedRetry)
	}
}

// Status is subscription.
func (f *conductorFeed) Status() rabbit.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *conductorFeed) set(s rabbit.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status = s
}

// follow reads events until the connection ends, and says why it did.
func (f *conductorFeed) follow(ctx context.Context, handle func(routingKey string, body []byte)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.address+"/events", nil)
	if err != nil {
		return fmt.Errorf("[ironmaster]admin_listen: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: operatorsTimeout}}
	response, err := client.Do(request)
	if err != nil {
		var unreachable *url.Error
		if errors.As(err, &unreachable) {
			err = unreachable.Err
		}
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("it answers %s: it is no conductor's [ironmaster]admin_listen", response.Status)
	}
	f.set(rabbit.Status{Host: f.address, Connected: true})
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		handle("", lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		return err
	}
	return errors.New("it ended the connection")
}
