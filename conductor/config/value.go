package config

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Verification says how a peer's TLS certificate is checked. The option holds True, False or the path of a CA bundle.
type Verification struct {
	Enabled bool
	CAFile  string // empty: the system's certificate authorities
}

// FileMode is the permission bits of a file. The file has a decimal number, as oslo.config reads it (420 is rw-r--r--), or an
// octal one with 0 or 0o before it, as ironic's own help has it.
type FileMode uint32

// The texts of these errors must not repeat the value: the caller adds it unless the option is secret.
var (
	errBool     = errors.New("must be one of true, 1, on, yes, false, 0, off, no")
	errInt      = errors.New("must be an integer")
	errIntRange = errors.New("is out of the range of integers")
	errFileMode = errors.New("must be permission bits, such as 0644 or 420")
	errFloat    = errors.New("must be a number")
	errDuration = errors.New("must be a number of seconds, less than 292 years")
	errDict     = errors.New("must be NAME:VALUE pairs separated by ','")
)

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "1", "on", "yes":
		return true, nil
	case "false", "0", "off", "no":
		return false, nil
	}
	return false, errBool
}

// parseVerification reads True and False in the wide sense of oslo_utils.strutils; anything else is a path.
func parseVerification(text string) Verification {
	switch strings.ToLower(strings.TrimFunc(text, isSpace)) {
	case "1", "t", "true", "on", "y", "yes":
		return Verification{Enabled: true}
	case "0", "f", "false", "off", "n", "no":
		return Verification{}
	}
	return Verification{Enabled: true, CAFile: text}
}

// digits accepts what Python's int() and float() accept besides plain digits: white space around the number and single
// underscores between digits.
func digits(text string) (string, bool) {
	text = strings.TrimFunc(text, isSpace)
	for i := range len(text) {
		if text[i] != '_' {
			continue
		}
		if i == 0 || i == len(text)-1 || !isDigit(text[i-1]) || !isDigit(text[i+1]) {
			return "", false
		}
	}
	return strings.ReplaceAll(text, "_", ""), true
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func parseInt(text string) (int64, error) {
	text, ok := digits(text)
	if !ok {
		return 0, errInt
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errIntRange
	}
	if err != nil {
		return 0, errInt
	}
	return n, nil
}

func parseFileMode(text string) (FileMode, error) {
	text, ok := digits(text)
	base := 10
	if octal, found := strings.CutPrefix(text, "0"); found && octal != "" {
		text, base = strings.TrimPrefix(strings.ToLower(octal), "o"), 8
	}
	n, err := strconv.ParseUint(text, base, 32)
	if !ok || err != nil || n > 0o7777 {
		return 0, errFileMode
	}
	return FileMode(n), nil
}

func parseFloat(text string) (float64, error) {
	text, ok := digits(text)
	if !ok || strings.ContainsAny(text, "xXpP") { // Go alone reads hexadecimal floats
		return 0, errFloat
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, errFloat
	}
	return f, nil
}

func seconds(n float64) (time.Duration, error) {
	if math.IsNaN(n) || math.Abs(n) >= math.MaxInt64/float64(time.Second) {
		return 0, errDuration
	}
	return time.Duration(math.Round(n * float64(time.Second))), nil
}

func parseList(text string) []string {
	text = strings.TrimRight(strings.TrimFunc(text, isSpace), ",")
	if text == "" {
		return []string{}
	}
	items := strings.Split(text, ",")
	for i, item := range items {
		items[i] = strings.TrimFunc(item, isSpace)
	}
	return items
}

// Pair is a name with its value.
type Pair struct{ Name, Value string }

// Pairs are a dict option whose order counts: what comes of it is listed in the order in which the file has the names.
type Pairs []Pair

// parsePairs reads k:v,k:v. Like the original it takes a piece without a colon for the beginning of the next pair's key.
func parsePairs(text string) (Pairs, error) {
	pairs := Pairs{}
	text = strings.TrimFunc(text, isSpace)
	if text == "" {
		return pairs, nil
	}
	pending := ""
	for piece := range strings.SplitSeq(text, ",") {
		name, value, ok := strings.Cut(pending+piece, ":")
		if !ok {
			pending += piece + ","
			continue
		}
		pending = ""
		name = strings.TrimFunc(name, isSpace)
		if name == "" {
			return nil, errors.New("has a pair without a name")
		}
		if slices.ContainsFunc(pairs, func(p Pair) bool { return p.Name == name }) {
			return nil, errors.New("has the same name twice")
		}
		pairs = append(pairs, Pair{name, strings.TrimFunc(value, isSpace)})
	}
	if pending != "" {
		return nil, errDict
	}
	return pairs, nil
}

// parseDict reads pairs whose order does not count.
func parseDict(text string) (map[string]string, error) {
	pairs, err := parsePairs(text)
	if err != nil {
		return nil, err
	}
	dict := make(map[string]string, len(pairs))
	for _, p := range pairs {
		dict[p.Name] = p.Value
	}
	return dict, nil
}

// limits are the bounds of a numeric option; nil is no bound.
type limits struct{ min, max *float64 }

func (l limits) check(n float64) error {
	if math.IsNaN(n) {
		return errFloat
	}
	if l.min != nil && n < *l.min {
		return fmt.Errorf("must be at least %g", *l.min)
	}
	if l.max != nil && n > *l.max {
		return fmt.Errorf("must be at most %g", *l.max)
	}
	return nil
}
