package ipmi_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/ironmaster/ironmaster/deploy-examples/lab"
)

// BenchmarkPowerState asks ipmi_sim for the power state by each transport. What the BMC itself takes is in both.
func BenchmarkPowerState(b *testing.B) {
	for _, transport := range transports {
		b.Run(transport, func(b *testing.B) {
			sim, err := lab.NewForTest(b, lab.Options{}).StartIPMISim("bmc", "")
			if err != nil {
				b.Fatal(err)
			}
			cfg := quick(transport)
			cfg.Interval = time.Nanosecond
			n := newBench(cfg, sim)
			before := cpu(b)
			for b.Loop() {
				if _, err := n.power.PowerState(b.Context(), n.Task); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}

// cpu is the processor time of this process and of the children that it has waited for.
func cpu(b *testing.B) time.Duration {
	b.Helper()
	var all time.Duration
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			b.Fatal(err)
		}
		all += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return all
}
