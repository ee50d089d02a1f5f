package redfish

import (
	"crypto/tls"
	"slices"
	"strings"
)

// suite is one of the cipher suites of TLS 1.2 and before that Go speaks, under OpenSSL's name.
type suite struct {
	id   uint16
	name string
	// tags are the words of ciphers(1) by which a list of OpenSSL's may choose it.
	tags []string
}

var suites = []suite{
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, "ECDHE-ECDSA-AES256-GCM-SHA384", words("ECDHE ECDSA AESGCM AES256 TLSv1.2")},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, "ECDHE-RSA-AES256-GCM-SHA384", words("ECDHE aRSA AESGCM AES256 TLSv1.2")},
	{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-ECDSA-CHACHA20-POLY1305", words("ECDHE ECDSA CHACHA20 TLSv1.2")},
	{tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, "ECDHE-RSA-CHACHA20-POLY1305", words("ECDHE aRSA CHACHA20 TLSv1.2")},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, "ECDHE-ECDSA-AES128-GCM-SHA256", words("ECDHE ECDSA AESGCM AES128 TLSv1.2")},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "ECDHE-RSA-AES128-GCM-SHA256", words("ECDHE aRSA AESGCM AES128 TLSv1.2")},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, "ECDHE-ECDSA-AES128-SHA256", words("ECDHE ECDSA AES128 SHA256 TLSv1.2")},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, "ECDHE-RSA-AES128-SHA256", words("ECDHE aRSA AES128 SHA256 TLSv1.2")},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, "ECDHE-ECDSA-AES256-SHA", words("ECDHE ECDSA AES256 SHA1 TLSv1")},
	{tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "ECDHE-RSA-AES256-SHA", words("ECDHE aRSA AES256 SHA1 TLSv1")},
	{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, "ECDHE-ECDSA-AES128-SHA", words("ECDHE ECDSA AES128 SHA1 TLSv1")},
	{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, "ECDHE-RSA-AES128-SHA", words("ECDHE aRSA AES128 SHA1 TLSv1")},
	{tls.TLS_RSA_WITH_AES_256_GCM_SHA384, "AES256-GCM-SHA384", words("RSA aRSA AESGCM AES256 TLSv1.2")},
	{tls.TLS_RSA_WITH_AES_128_GCM_SHA256, "AES128-GCM-SHA256", words("RSA aRSA AESGCM AES128 TLSv1.2")},
	{tls.TLS_RSA_WITH_AES_128_CBC_SHA256, "AES128-SHA256", words("RSA aRSA AES128 SHA256 TLSv1.2")},
	{tls.TLS_RSA_WITH_AES_256_CBC_SHA, "AES256-SHA", words("RSA aRSA AES256 SHA1 SSLv3")},
	{tls.TLS_RSA_WITH_AES_128_CBC_SHA, "AES128-SHA", words("RSA aRSA AES128 SHA1 SSLv3")},
}

// aliases are further names of tags.
var aliases = map[string]string{"kECDHE": "ECDHE", "EECDH": "ECDHE", "kEECDH": "ECDHE", "kRSA": "RSA", "aECDSA": "ECDSA", "SHA": "SHA1",
	"TLSv1.0": "TLSv1"}

func words(text string) []string { return strings.Fields(text) }

// is tells whether a word of OpenSSL's chooses the suite.
func (s suite) is(word string) bool {
	switch word {
	case "ALL", "DEFAULT", "HIGH", s.name:
		return true
	case "AES":
		return slices.Contains(s.tags, "AES128") || slices.Contains(s.tags, "AES256")
	}
	if other, ok := aliases[word]; ok {
		word = other
	}
	return slices.Contains(s.tags, word)
}

// chooseCiphers returns the suites that a list in OpenSSL's format chooses (ciphers(1)), of those that Go speaks; none is no list that can
// be used. The order is Go's own affair. What OpenSSL knows and Go does not chooses nothing, as unknown words do in OpenSSL.
func chooseCiphers(list string) []uint16 {
	var chosen, killed []uint16
	for word := range strings.FieldsFuncSeq(list, func(r rune) bool { return strings.ContainsRune(": ;,", r) }) {
		operator, name := word[0], strings.TrimLeft(word, "!-+@")
		for _, s := range suites {
			if !s.isAll(name) {
				continue
			}
			switch operator {
			case '!':
				killed = append(killed, s.id)
				fallthrough
			case '-':
				chosen = slices.DeleteFunc(chosen, func(id uint16) bool { return id == s.id })
			case '+', '@': // of the order, and of the strength in general
			default:
				if !slices.Contains(killed, s.id) && !slices.Contains(chosen, s.id) {
					chosen = append(chosen, s.id)
				}
			}
		}
	}
	return chosen
}

// isAll tells whether all parts of a word such as ECDHE+AESGCM choose the suite.
func (s suite) isAll(word string) bool {
	for part := range strings.SplitSeq(word, "+") {
		if !s.is(part) {
			return false
		}
	}
	return true
}
