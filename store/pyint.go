package store

import (
	"encoding/json"
	"regexp"
	"strings"
)

// wholeText is what Python's int() reads: digits of any script, in groups joined by underscores.
var wholeText = regexp.MustCompile(`^[+-]?\p{Nd}+(_\p{Nd}+)*$`)

// PythonNatural tells whether Python's int() makes a number of at least 0 of a value, however large.
func PythonNatural(value any) bool {
	text := ""
	switch v := value.(type) {
	case bool:
		return true
	case string:
		text = strings.TrimSpace(v)
	case json.Number:
		text = v.String()
		if strings.ContainsAny(text, ".eE") {
			f, err := v.Float64() // Which fails for what is infinite in Python, as int() does there.
			return err == nil && f > -1
		}
	}
	return wholeText.MatchString(text) && (!strings.HasPrefix(text, "-") || strings.Trim(text, "-0_") == "")
}
