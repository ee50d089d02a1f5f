package drivers

import (
	"math"
	"testing"
	"time"
)

func TestSecondsStayOnTheirSideOfNow(t *testing.T) {
	const most = math.MaxInt32 * time.Second
	for _, c := range []struct {
		seconds float64
		want    time.Duration
	}{
		{0, 0}, {1.5, 1500 * time.Millisecond}, {-2, -2 * time.Second}, {math.MaxInt32, most}, {math.MaxInt32 + 1, most}, {1e300, most},
		{math.Inf(1), most}, {-1e300, math.MinInt32 * time.Second}, {math.NaN(), 0},
	} {
		if got := Seconds(c.seconds); got != c.want {
			t.Errorf("%v: %v, want %v", c.seconds, got, c.want)
		}
	}
	if got := Seconds(int64(math.MaxInt64)); got != most {
		t.Errorf("the largest whole number: %v, want %v", got, most)
	}
	if got := Seconds(int64(math.MinInt64)); got >= 0 {
		t.Errorf("the smallest whole number: %v", got)
	}
}
