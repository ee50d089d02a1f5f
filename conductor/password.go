package conductor

import (
	"fmt"

	"github.com/go-crypt/crypt/algorithm/shacrypt"
)

// hashPassword hashes a password as crypt(3) does, for a shadow file. algorithm is sha256 or sha512. Like ironic's, the hash has
// 5000 rounds, which crypt does not spell out.
func hashPassword(password, algorithm string) (string, error) {
	variant := shacrypt.VariantSHA256
	if algorithm == "sha512" {
		variant = shacrypt.VariantSHA512
	}
	h, err := shacrypt.New(shacrypt.WithVariant(variant), shacrypt.WithIterations(shacrypt.IterationsDefaultOmitted))
	if err != nil {
		return "", fmt.Errorf("hashing the rescue password: %w", err)
	}
	digest, err := h.Hash(password)
	if err != nil {
		return "", fmt.Errorf("hashing the rescue password: %w", err)
	}
	return digest.Encode(), nil
}
