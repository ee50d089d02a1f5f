package drivers

import (
	"math"
	"time"
)

// Seconds is a number of seconds that a user or a BMC names, at most 68 years either way: more than fit into a duration would come out
// with the other sign. What is no number counts as none.
func Seconds[N int | int64 | float64](n N) time.Duration {
	seconds := float64(n)
	if math.IsNaN(seconds) {
		return 0
	}
	return time.Duration(max(math.MinInt32, min(seconds, math.MaxInt32)) * float64(time.Second))
}
