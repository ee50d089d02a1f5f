package room

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"slices"
	"testing"
	"time"

	"github.com/stmcginnis/gofish"
)

func TestFaultsDependOnSeedAndNumber(t *testing.T) {
	half := Faults{Slow: 0.5, Silent: 0.5, ServerError: 0.5, DropSession: 0.5, StuckPower: 0.5, CommandFailure: 0.5, WrongPassword: 0.5}
	draw := func(seed uint64, number int, more bool) (requests []requestFault, commands []bool) {
		plan := newFaultPlan(half, seed, number)
		for range 40 {
			requests = append(requests, plan.request())
			if more {
				plan.powerStuck()
			}
			commands = append(commands, plan.commandFails())
		}
		return requests, commands
	}
	requests, commands := draw(1, 1, false)
	if again, same := draw(1, 1, true); !slices.Equal(requests, again) || !slices.Equal(commands, same) {
		t.Error("the same seed drew other faults")
	}
	for _, other := range [][2]int{{1, 2}, {2, 1}} {
		if again, _ := draw(uint64(other[0]), other[1], false); slices.Equal(requests, again) {
			t.Errorf("seed %d and machine %d drew the same faults", other[0], other[1])
		}
	}
}

func TestQuirksAreShares(t *testing.T) {
	count := 0
	for number := range 1000 {
		if (Quirks{PatchMedia: 0.3}).draw(42, number).patchMedia {
			count++
		}
	}
	if count < 240 || count > 360 {
		t.Errorf("%d of 1000 machines got a quirk of 30 %%", count)
	}
}

func TestRequestFaults(t *testing.T) {
	get := func(t *testing.T, m *Machine, timeout time.Duration) (int, error) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Info().Address+m.Info().SystemID, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.SetBasicAuth(m.Info().Username, m.Info().Password)
		response, err := bmcClient(t, m).Do(request)
		if err != nil {
			return 0, err
		}
		return response.StatusCode, response.Body.Close()
	}
	t.Run("slow", func(t *testing.T) {
		m := openRoom(t, Config{Faults: Faults{Slow: 1, SlowBy: time.Millisecond}}).Machines()[0]
		if status, err := get(t, m, time.Minute); status != http.StatusOK {
			t.Errorf("status %d, error %v", status, err)
		}
	})
	t.Run("silent", func(t *testing.T) {
		m := openRoom(t, Config{Faults: Faults{Silent: 1}}).Machines()[0]
		if status, err := get(t, m, 50*time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("status %d, error %v", status, err)
		}
	})
	t.Run("server error", func(t *testing.T) {
		m := openRoom(t, Config{Faults: Faults{ServerError: 1}}).Machines()[0]
		if status, err := get(t, m, time.Minute); status != http.StatusServiceUnavailable {
			t.Errorf("status %d, error %v", status, err)
		}
	})
	t.Run("garbage", func(t *testing.T) {
		m := openRoom(t, Config{Faults: Faults{Garbage: 1}}).Machines()[0]
		_, err := gofish.ConnectContext(t.Context(), gofish.ClientConfig{Endpoint: m.Info().Address, HTTPClient: bmcClient(t, m)})
		if err == nil {
			t.Error("gofish takes a web page for Redfish")
		}
	})
	t.Run("dropped session", func(t *testing.T) {
		m := openRoom(t, Config{Faults: Faults{DropSession: 1}}).Machines()[0]
		client, err := gofish.ConnectContext(t.Context(), gofish.ClientConfig{Endpoint: m.Info().Address,
			Username: m.Info().Username, Password: m.Info().Password, HTTPClient: bmcClient(t, m)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Get(systemsPath); statusOf(err) != http.StatusUnauthorized {
			t.Errorf("after the session was dropped: %v", err)
		}
	})
}

// A silent BMC must not keep a room from closing.
func TestCloseFreesSilentRequests(t *testing.T) {
	r := openRoom(t, Config{Faults: Faults{Silent: 1}})
	m := r.Machines()[0]
	client := bmcClient(t, m)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, m.Info().Address+rootPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	sent, answered := make(chan struct{}), make(chan error, 1)
	trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) }}
	go func() {
		response, err := client.Do(request.WithContext(httptrace.WithClientTrace(t.Context(), trace)))
		if err == nil {
			response.Body.Close()
		}
		answered <- err
	}()
	<-sent
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-answered; err == nil {
		t.Error("a silent BMC answered")
	}
}
