package rules

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// call is a request that an api-call makes.
type call struct {
	url     string
	headers store.Dict
	timeout time.Duration
	retries int64
	backoff time.Duration
}

// longestPause bounds the pauses between attempts, as urllib3 does.
const longestPause = 120 * time.Second

// again are the answers after which a call is tried again.
var again = []int{429, 500, 502, 503, 504}

// callAPI tells somebody by HTTP.
func callAPI(ctx context.Context, r *run, args store.Dict) error {
	c, err := readCall(args)
	if err != nil {
		return actionFailed("Invalid parameter: %w", err)
	}
	client, err := throughProxies(r.engine.cfg.HTTP, args["proxies"])
	if err != nil {
		return actionFailed("Invalid parameter: %w", err)
	}
	for attempt := int64(0); ; attempt++ {
		retriable, err := c.once(ctx, client)
		if err == nil {
			return nil
		}
		if !retriable || attempt >= c.retries || ctx.Err() != nil {
			return r.unlessLost(ctx, err, actionFailed("Request to %s failed: %w", shownURL(c.url), err))
		}
		if err := drivers.Pause(ctx, c.pause(attempt)); err != nil {
			return err
		}
	}
}

// pause is how long the attempt after one that failed is put off. The first one has number 0.
func (c call) pause(attempt int64) time.Duration {
	return min(longestPause, min(longestPause, c.backoff)<<min(attempt, 16))
}

func readCall(args store.Dict) (call, error) {
	c := call{url: str(args["url"]), retries: 3}
	seconds := func(name string, usual float64) (time.Duration, error) {
		given, there := args[name]
		if !there {
			return drivers.Seconds(usual), nil
		}
		f, err := strconv.ParseFloat(str(given), 64)
		if err != nil {
			return 0, fmt.Errorf("could not convert string to float: %s", store.PythonRepr(str(given)))
		}
		return drivers.Seconds(f), nil
	}
	var err error
	if c.timeout, err = seconds("timeout", 5); err != nil {
		return c, err
	}
	if c.timeout <= 0 {
		return c, errors.New("timeout must be greater than zero")
	}
	if c.backoff, err = seconds("backoff_factor", 0.3); err != nil {
		return c, err
	}
	if given, there := args["retries"]; there {
		if c.retries, err = strconv.ParseInt(strings.TrimSpace(str(given)), 10, 64); err != nil {
			return c, fmt.Errorf("invalid literal for int() with base 10: %s", store.PythonRepr(str(given)))
		}
	}
	c.headers, _ = asDict(args["headers"])
	if u, err := url.Parse(c.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return c, fmt.Errorf("%s is no URL of http or https", store.PythonRepr(shownURL(c.url)))
	}
	return c, nil
}

// once makes the request. retriable tells that it may be made again.
func (c call) once(ctx context.Context, client *http.Client) (retriable bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url, nil)
	if err != nil {
		return false, err
	}
	for name, text := range c.headers {
		request.Header.Set(name, str(text))
	}
	answer, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			// The URL is told beside, without a password.
			err = wrapped.Err
		}
		return true, err
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 1<<16))
	if answer.StatusCode < 400 {
		return false, nil
	}
	whose := "Client"
	if answer.StatusCode >= 500 {
		whose = "Server"
	}
	return slices.Contains(again, answer.StatusCode), fmt.Errorf("%d %s Error: %s for url: %s", answer.StatusCode, whose,
		http.StatusText(answer.StatusCode), shownURL(c.url))
}

// shownURL is a URL without a password.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "the URL"
	}
	return u.Redacted()
}

// throughProxies is a client that goes through the proxies of a rule: an object with a URL for http, https, or both.
func throughProxies(client *http.Client, proxies any) (*http.Client, error) {
	if !store.PythonTrue(proxies) {
		return client, nil
	}
	given, ok := asDict(proxies)
	transport, isOurs := client.Transport.(*http.Transport)
	if !ok || !isOurs {
		return nil, errors.New("proxies is not an object of URLs")
	}
	byScheme := map[string]*url.URL{}
	for scheme := range given {
		u, err := url.Parse(given.String(scheme))
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("the proxy for %s is no URL", scheme)
		}
		byScheme[scheme] = u
	}
	own := transport.Clone()
	own.DisableKeepAlives = true
	own.Proxy = func(r *http.Request) (*url.URL, error) { return byScheme[r.URL.Scheme], nil }
	return &http.Client{Transport: own}, nil
}
