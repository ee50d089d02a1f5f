package image

import (
	"context"
	"crypto/md5"  //nolint:gosec // Glance's legacy checksum
	"crypto/sha1" //nolint:gosec // accepted by ironic when named
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// Checksum is a digest that an image must have.
type Checksum struct {
	// Algo is a name of Python's hashlib in lower case, such as sha256.
	Algo string
	// Value is the digest in lower-case hex.
	Value string
}

// IsZero reports whether nothing is known.
func (c Checksum) IsZero() bool { return c.Value == "" }

// hashers are the algorithms by their hashlib names.
var hashers = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New,
	"sha224": sha256.New224, "sha256": sha256.New,
	"sha384": sha512.New384, "sha512": sha512.New, "sha512_224": sha512.New512_224, "sha512_256": sha512.New512_256,
	"sha3_224": func() hash.Hash { return sha3.New224() }, "sha3_256": func() hash.Hash { return sha3.New256() },
	"sha3_384": func() hash.Hash { return sha3.New384() }, "sha3_512": func() hash.Hash { return sha3.New512() },
}

func algorithmFailure(algo string) error {
	return store.Errorf(store.ImageChecksumAlgorithmFailure,
		"The requested image checksum algorithm cannot be loaded. Algorithm: %q", algo)
}

func checksumError(format string, args ...any) error {
	reason := store.Errorf(store.ImageChecksumError, format, args...)
	return store.Errorf(store.ImageChecksumError, "The supplied image checksum is invalid or does not match. %w", reason)
}

// newHash returns a hash by its hashlib name.
func newHash(algo string) (hash.Hash, error) {
	build, ok := hashers[strings.ToLower(algo)]
	if !ok {
		return nil, algorithmFailure(algo)
	}
	return build(), nil
}

// ParseChecksum reads a digest: "algo:hex", or hex whose algorithm is algo, or else told by its length (32 md5, 64
// sha256, 128 sha512).
func (c ChecksumConfig) ParseChecksum(value, algo string) (Checksum, error) {
	if prefix, rest, found := strings.Cut(value, ":"); found {
		value, algo = rest, prefix
	}
	value, algo = strings.ToLower(strings.TrimSpace(value)), strings.ToLower(strings.TrimSpace(algo))
	raw, err := hex.DecodeString(value)
	if err != nil || len(raw) == 0 {
		return Checksum{}, checksumError("The supplied value is not hexadecimal.")
	}
	if algo == "" {
		switch len(value) {
		case 32:
			algo = "md5"
		case 64:
			algo = "sha256"
		case 128:
			algo = "sha512"
		default:
			return Checksum{}, checksumError("The algorithm of a value of %d digits must be named.", len(value))
		}
	}
	if algo == "md5" && !c.AllowMD5 {
		return Checksum{}, algorithmFailure(algo)
	}
	h, err := newHash(algo)
	if err != nil {
		return Checksum{}, err
	}
	if h.Size() != len(raw) {
		return Checksum{}, checksumError("A %s value has %d digits, the supplied one has %d.", algo, 2*h.Size(), len(value))
	}
	return Checksum{Algo: algo, Value: value}, nil
}

// ValidateChecksum checks at validation time, without fetching anything, that instance_info names a checksum as far as
// one is needed: Glance keeps its own, and local files are hashed here. node is the node's UUID, for the text.
func (s *Service) ValidateChecksum(instance store.Dict, node string) error {
	href := instance.String(keyImageSource)
	if IsGlance(href) || strings.HasPrefix(href, "file://") {
		return nil
	}
	sum, algo, value := instance.String("image_checksum"), instance.String("image_os_hash_algo"),
		instance.String("image_os_hash_value")
	if (algo == "") != (value == "") || (value == "" && sum == "") {
		return store.Errorf(store.MissingParameterValue, `image_source's "image_checksum", or "image_os_hash_algo" and `+
			`"image_os_hash_value" must be provided in instance_info for node %s`, node)
	}
	return nil
}

// Checksum returns the digest that instance_info asks for; image_os_hash_value goes before image_checksum, and a
// checksum that is a URL is fetched. A zero Checksum means that none was asked for. It is meant for sources other than
// Glance: there the keys may hold what an earlier deployment copied, and Fetch asks Glance itself.
func (s *Service) Checksum(ctx context.Context, instance store.Dict) (Checksum, error) {
	if value := instance.String("image_os_hash_value"); value != "" {
		return s.cfg.Checksum.ParseChecksum(value, instance.String("image_os_hash_algo"))
	}
	value := instance.String("image_checksum")
	if value == "" {
		return Checksum{}, nil
	}
	if isChecksumURL(value) {
		if s.cfg.Checksum.DisableFiles {
			return Checksum{}, store.Errorf(kindImageChecksumURLUnsupported, "Use of remote checksum files is not supported.")
		}
		var err error
		if value, err = s.checksumFromURL(ctx, value, instance.String(keyImageSource)); err != nil {
			return Checksum{}, err
		}
	}
	return s.cfg.Checksum.ParseChecksum(value, "")
}

// ofMetadata returns the digest that Glance keeps.
func (c ChecksumConfig) ofMetadata(meta Metadata) (Checksum, error) {
	if meta.HashAlgo != "" && meta.HashValue != "" {
		return c.ParseChecksum(meta.HashValue, meta.HashAlgo)
	}
	if meta.Checksum != "" && c.AllowMD5 {
		return c.ParseChecksum(meta.Checksum, "md5")
	}
	return Checksum{}, nil
}

// multiHash computes several digests in one pass.
type multiHash map[string]hash.Hash

func newMultiHash(algos ...string) (multiHash, error) {
	m := multiHash{}
	for _, algo := range algos {
		if algo == "" {
			continue
		}
		h, err := newHash(algo)
		if err != nil {
			return nil, err
		}
		m[strings.ToLower(algo)] = h
	}
	return m, nil
}

func (m multiHash) Write(p []byte) (int, error) {
	for _, h := range m {
		h.Write(p)
	}
	return len(p), nil
}

func (m multiHash) reset() {
	for _, h := range m {
		h.Reset()
	}
}

func (m multiHash) sums() map[string]string {
	out := make(map[string]string, len(m))
	for algo, h := range m {
		out[algo] = hex.EncodeToString(h.Sum(nil))
	}
	return out
}

// compareChecksum fails with ImageChecksumError when sums lack the digest or differ.
func compareChecksum(href string, want Checksum, sums map[string]string) error {
	if want.IsZero() {
		return nil
	}
	if got := sums[want.Algo]; got != want.Value {
		return checksumError("Image %s has the %s checksum %s, expected %s.", Redact(href), want.Algo, got, want.Value)
	}
	return nil
}

// hashFile computes a file's digests.
func hashFile(ctx context.Context, path string, progress *Progress, algos ...string) (map[string]string, error) {
	m, err := newMultiHash(algos...)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, readFailure(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, readFailure(err)
	}
	progress.Begin(PhaseHash, info.Size())
	if _, err := io.Copy(io.MultiWriter(m, progress), contextReader{ctx, file}); err != nil {
		if errors.Is(err, ctx.Err()) {
			return nil, err
		}
		return nil, readFailure(err)
	}
	return m.sums(), nil
}

func readFailure(err error) error {
	return store.Errorf(store.ImageChecksumFileReadFailure,
		"Failed to read the file from local storage to perform a checksum operation. Reason: %w", err)
}
