package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// ill is something that befalls a worker or a server.
type ill string

const (
	killWorker      ill = "kill"
	restartBroker   ill = "RabbitMQ down"
	restartDatabase ill = "MariaDB down"
	cutBroker       ill = "path to RabbitMQ cut"
	cutDatabase     ill = "path to MariaDB cut"
	silenceBroker   ill = "path to RabbitMQ silent"
	silenceDatabase ill = "path to MariaDB silent"
)

// strike is one ill at its time: whom it befalls, and how long.
type strike struct {
	at   time.Duration
	ill  ill
	host int // for those that befall a worker
	last time.Duration
}

func (s strike) String() string {
	whom := ""
	if s.ofWorker() {
		whom = fmt.Sprintf(" of worker %d", s.host+1)
	}
	return fmt.Sprintf("%s%s for %.1f s", s.ill, whom, s.last.Seconds())
}

func (s strike) ofWorker() bool { return s.ill != restartBroker && s.ill != restartDatabase }

// meanGap is the time between two strikes on average. calm is how long after the beginning of one server's outage the next
// server is struck at the earliest: a cloud whose broker and database are never there at a time does nothing.
const (
	meanGap = 3 * time.Second
	calm    = 12 * time.Second
)

// kinds are the ills with how many of all strikes they are, in percent, and how long they last at most.
var kinds = []struct {
	ill     ill
	percent int
	longest time.Duration
}{
	{killWorker, 56, 0},
	{restartBroker, 6, 6 * time.Second},
	{restartDatabase, 6, 5 * time.Second},
	{cutBroker, 9, 10 * time.Second},
	{cutDatabase, 9, 10 * time.Second},
	{silenceBroker, 7, 12 * time.Second},
	{silenceDatabase, 7, 12 * time.Second},
}

// plan draws what happens within a time to so many workers. It depends on nothing but the seed and these. All is over when the
// time is.
func plan(seed uint64, length time.Duration, workers int) []strike {
	dice := rand.New(rand.NewPCG(seed, 4))
	busyUntil := make([]time.Duration, workers)
	var serverAt time.Duration
	var strikes []strike
	for at := time.Duration(0); ; {
		at += time.Duration((0.3 + 0.7*dice.ExpFloat64()) * float64(meanGap))
		s := draw(dice, at, workers)
		if s.at+s.last > length {
			return strikes
		}
		if s.ofWorker() {
			if busyUntil[s.host] > at {
				continue
			}
			busyUntil[s.host] = at + s.last
		} else {
			if serverAt > at {
				continue
			}
			serverAt = at + s.last + calm
		}
		strikes = append(strikes, s)
	}
}

func draw(dice *rand.Rand, at time.Duration, workers int) strike {
	share := dice.IntN(100)
	i := 0
	for ; share >= kinds[i].percent; i++ {
		share -= kinds[i].percent
	}
	s := strike{at: at, ill: kinds[i].ill, host: dice.IntN(workers)}
	s.last = time.Second + time.Duration(dice.Float64()*float64(kinds[i].longest))
	if s.ill == killWorker {
		// Half of the killed come back at once, half after their peers have noticed, or just before.
		s.last = 0
		if dice.IntN(2) == 0 {
			s.last = time.Duration((0.5 + dice.Float64()) * float64(deadAfter))
		}
	}
	return s
}

// ills of machines.
type affliction struct{ silent, slow []int }

// afflict chooses the machines whose BMCs fall silent and those whose BMCs become slow: one in twenty each, and one at least.
func afflict(seed uint64, machines int) affliction {
	chosen := rand.New(rand.NewPCG(seed, 5)).Perm(machines)
	n := max(1, machines/20)
	a := affliction{silent: slices.Sorted(slices.Values(chosen[:n])), slow: slices.Sorted(slices.Values(chosen[n : 2*n]))}
	return a
}
