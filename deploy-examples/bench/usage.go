package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// usage is what the processes of a group use: the conductor and whatever it started.
type usage struct {
	// cpu is user and system time, that of ended children included.
	cpu time.Duration
	// memory is resident, and peak the most that it ever was, in bytes.
	memory, peak int64
}

// clockTick is the unit of times in /proc/PID/stat. Linux gives user space 100 a second on every architecture that
// Debian has.
const clockTick = time.Second / 100

// usageOf adds up the processes of a group.
func usageOf(group int) (usage, error) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return usage{}, err
	}
	var sum usage
	found := false
	for _, file := range stats {
		stat, err := os.ReadFile(file)
		if err != nil {
			// The process has ended since the folder was listed.
			continue
		}
		cpu, pgrp, err := parseStat(stat)
		if err != nil {
			return usage{}, fmt.Errorf("reading %s: %w", file, err)
		}
		if pgrp != group {
			continue
		}
		status, err := os.ReadFile(filepath.Join(filepath.Dir(file), "status"))
		if err != nil {
			continue
		}
		found = true
		sum.cpu += cpu
		sum.memory += kibibytes(status, "VmRSS:")
		sum.peak += kibibytes(status, "VmHWM:")
	}
	if !found {
		return usage{}, fmt.Errorf("the conductor (process %d) has ended", group)
	}
	return sum, nil
}

// parseStat reads "pid (command) state ppid pgrp ...", in which the command may hold spaces and parentheses.
func parseStat(stat []byte) (cpu time.Duration, pgrp int, err error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	// utime, stime, cutime and cstime are the fields 14 to 17 of proc(5), of which the first two are cut off here.
	const pgrpField, timesField = 5 - 3, 14 - 3
	if len(fields) < timesField+4 {
		return 0, 0, errors.New("it has too few fields")
	}
	if pgrp, err = strconv.Atoi(fields[pgrpField]); err != nil {
		return 0, 0, err
	}
	for _, field := range fields[timesField : timesField+4] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		cpu += time.Duration(ticks) * clockTick
	}
	return cpu, pgrp, nil
}

// kibibytes reads a line like "VmRSS:    1234 kB" of /proc/PID/status, in bytes.
func kibibytes(status []byte, name string) int64 {
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}
