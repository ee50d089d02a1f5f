package jsonschema

import (
	"cmp"
	"slices"
)

// best is the fault that Python's jsonschema 4.10 names of many (jsonschema/exceptions.py, best_match): the one nearest to the top, and
// behind an anyOf the one of the alternative that came nearest.
func best(all []fault) fault {
	// The first of those that are equal.
	f := slices.MaxFunc(all, func(a, b fault) int { return cmp.Compare(a.rank(), b.rank()) })
	for len(f.context) > 0 {
		nearest := slices.Clone(f.context)
		slices.SortStableFunc(nearest, func(a, b fault) int { return cmp.Compare(a.rank(), b.rank()) })
		if len(nearest) > 1 && nearest[0].rank() == nearest[1].rank() {
			return f
		}
		f = nearest[0]
	}
	return f
}

// rank orders faults: by depth first, then an anyOf below the others, then those of a value that has the right type below the others.
func (f fault) rank() int {
	rank := -4 * len(f.path)
	if f.keyword != "anyOf" {
		rank += 2
	}
	if !f.fits {
		rank++
	}
	return rank
}
