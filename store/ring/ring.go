// Package ring is the consistent hash ring by which ironic-api and every conductor agree, without a word, on the worker
// that is responsible for a node. It follows tooz.hashring bit for bit (reference/rpc.md §6.1).
package ring

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"fmt"
	"hash"
	"maps"
	"slices"
)

// algorithms are those of [DEFAULT]hash_ring_algorithm. Python's blake2 is left out: nothing here computes it.
var algorithms = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384,
	"sha512":   sha512.New,
	"sha3_224": func() hash.Hash { return sha3.New224() }, "sha3_256": func() hash.Hash { return sha3.New256() },
	"sha3_384": func() hash.Hash { return sha3.New384() }, "sha3_512": func() hash.Hash { return sha3.New512() },
}

// Config is what all workers and ironic-api must have in common.
type Config struct {
	// Exponent is [DEFAULT]hash_partition_exponent: each host has 2^Exponent points on the ring, 0 to 20. Ironic's
	// default is 5.
	Exponent int
	// Algorithm is [DEFAULT]hash_ring_algorithm, a name of Python's hashlib. Ironic's default is md5.
	Algorithm string
}

// Validate tells what is wrong with the configuration.
func (c Config) Validate() error {
	if c.Exponent < 0 || c.Exponent > 20 {
		return fmt.Errorf("hash_partition_exponent is %d: it must be between 0 and 20", c.Exponent)
	}
	if algorithms[c.Algorithm] == nil {
		return fmt.Errorf("hash_ring_algorithm %q is not supported: choose one of %v", c.Algorithm,
			slices.Sorted(maps.Keys(algorithms)))
	}
	return nil
}

// Ring spreads nodes over hosts.
type Ring struct {
	newHash func() hash.Hash
	points  []point
}

// point is a place on the ring: a hash, as a big-endian number.
type point struct {
	at   []byte
	host string
}

// New builds the ring of hosts.
func New(cfg Config, hosts []string) (*Ring, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Ring{newHash: algorithms[cfg.Algorithm]}
	hosts = slices.Compact(slices.Sorted(slices.Values(hosts)))
	for _, host := range hosts {
		// The hasher goes on from point to point: the k-th is the hash of the name repeated k+1 times.
		h := r.newHash()
		h.Write([]byte(host))
		for range 1 << cfg.Exponent {
			h.Write([]byte(host))
			r.points = append(r.points, point{at: h.Sum(nil), host: host})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int { return bytes.Compare(a.at, b.at) })
	return r, nil
}

// Host returns the host responsible for a node, given its UUID in canonical form; "" when the ring is empty.
func (r *Ring) Host(uuid string) string {
	if len(r.points) == 0 {
		return ""
	}
	h := r.newHash()
	h.Write([]byte(uuid))
	x := h.Sum(nil)
	// The first point beyond x; a point equal to x does not count.
	i, _ := slices.BinarySearchFunc(r.points, x, func(p point, x []byte) int {
		if bytes.Compare(p.at, x) <= 0 {
			return -1
		}
		return 1
	})
	return r.points[i%len(r.points)].host
}
