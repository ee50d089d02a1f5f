package fake

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/drivers"
)

// Delay is a time between two bounds; the shorter ones are likelier. The zero Delay is none at all.
type Delay struct{ Min, Max time.Duration }

// ParseDelay reads the value of ironic's [fake] options: whole seconds, or two of them with a comma between.
func ParseDelay(text string) (Delay, error) {
	if text == "" {
		return Delay{}, nil
	}
	parts := strings.Split(text, ",")
	if len(parts) == 1 {
		parts = append(parts, parts[0])
	}
	low, err := parseSeconds(parts[0])
	if err != nil {
		return Delay{}, err
	}
	high, err := parseSeconds(parts[1])
	if err != nil {
		return Delay{}, err
	}
	return Delay{Min: low, Max: high}, nil
}

func parseSeconds(text string) (time.Duration, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of seconds", text)
	}
	return time.Duration(n) * time.Second, nil
}

// wait sleeps for a time drawn from the triangular distribution whose peak is at Min.
func (d Delay) wait(ctx context.Context) error {
	if d.Min == 0 && d.Max == 0 {
		return ctx.Err()
	}
	share := 1 - math.Sqrt(1-rand.Float64())
	return drivers.Pause(ctx, d.Min+time.Duration(share*float64(d.Max-d.Min)))
}
