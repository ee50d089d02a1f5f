package main

import (
	"reflect"
	"testing"
	"time"
)

func TestPlanIsThatOfItsSeed(t *testing.T) {
	const length = 10 * time.Minute
	first := plan(7, length, workers)
	if again := plan(7, length, workers); !reflect.DeepEqual(first, again) {
		t.Error("the same seed makes another plan")
	}
	if other := plan(8, length, workers); reflect.DeepEqual(first, other) {
		t.Error("another seed makes the same plan")
	}
	seen := map[ill]int{}
	for _, s := range first {
		seen[s.ill]++
	}
	for _, k := range kinds {
		if seen[k.ill] == 0 {
			t.Errorf("within %s there is no %q", length, k.ill)
		}
	}
}

// TestPlanKeepsItsPromises looks for what would make a run meaningless: something that lasts beyond the end, a worker that is
// struck while it is struck, and both servers away at a time.
func TestPlanKeepsItsPromises(t *testing.T) {
	for seed := range uint64(200) {
		const length = 2 * time.Minute
		over := make([]time.Duration, workers)
		var server time.Duration
		for _, s := range plan(seed, length, workers) {
			if s.at+s.last > length {
				t.Errorf("seed %d: %s at %s is not over after %s", seed, s, s.at, length)
			}
			switch {
			case s.ofWorker() && s.at < over[s.host]:
				t.Errorf("seed %d: %s at %s comes while that worker is struck until %s", seed, s, s.at, over[s.host])
			case s.ofWorker():
				over[s.host] = s.at + s.last
			case s.at < server:
				t.Errorf("seed %d: %s at %s comes while a server is away until %s", seed, s, s.at, server)
			default:
				server = s.at + s.last
			}
		}
	}
}

func TestAfflictedMachinesAreDifferentOnes(t *testing.T) {
	for machines, want := range map[int]int{10: 1, 40: 2, 200: 10} {
		a := afflict(3, machines)
		seen := map[int]bool{}
		for _, n := range append(append([]int{}, a.silent...), a.slow...) {
			if seen[n] || n < 0 || n >= machines {
				t.Errorf("machine %d of %d is chosen twice, or there is none", n, machines)
			}
			seen[n] = true
		}
		if len(a.silent) != want || len(a.slow) != want {
			t.Errorf("of %d machines %d are silent and %d slow, want %d each", machines, len(a.silent), len(a.slow), want)
		}
	}
}
