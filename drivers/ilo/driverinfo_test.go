package ilo

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

func TestTimeoutsOfAnyLength(t *testing.T) {
	for given, want := range map[any]time.Duration{json.Number("90"): 90 * time.Second, json.Number("2.9"): 2 * time.Second, "7": 7 * time.Second,
		json.Number("9223372037"): math.MaxInt32 * time.Second, json.Number("1e300"): math.MaxInt32 * time.Second} {
		got, err := timeout(&store.Node{DriverInfo: store.Dict{"client_timeout": given}}, Config{})
		if err != nil || got != want {
			t.Errorf("%v: %v, %v, want %v", given, got, err, want)
		}
	}
}
