package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// byteSize is a number of bytes as people write it: 512M, 10GiB, 4096. Units are powers of 1024.
type byteSize int64

var byteUnits = []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}

// Set is pflag.Value.
func (b *byteSize) Set(text string) error {
	number := strings.TrimRight(text, "BKMGTPEbikmgtpe ")
	unit := strings.ToUpper(strings.TrimSpace(text[len(number):]))
	unit = strings.TrimSuffix(strings.TrimSuffix(unit, "B"), "I")
	power := 0
	if unit != "" {
		if power = strings.Index("KMGTPE", unit) + 1; power == 0 || len(unit) != 1 {
			return fmt.Errorf("%q is not a size such as 512M or 10G", text)
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	size := n * math.Pow(1024, float64(power))
	if err != nil || !(size >= 0 && size < 1<<63) {
		return fmt.Errorf("%q is not a size such as 512M or 10G", text)
	}
	*b = byteSize(size)
	return nil
}

// String is the size with a unit that leaves at most four digits in front of the point.
func (b byteSize) String() string {
	size, unit := float64(b), 0
	for math.Abs(size) >= 1024 && unit < len(byteUnits)-1 {
		size, unit = size/1024, unit+1
	}
	if unit == 0 || size >= 100 || size == math.Trunc(size) {
		return fmt.Sprintf("%.0f %s", size, byteUnits[unit])
	}
	return fmt.Sprintf("%.1f %s", size, byteUnits[unit])
}

// Type is pflag.Value.
func (*byteSize) Type() string { return "size" }
