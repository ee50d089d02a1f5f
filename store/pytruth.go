package store

import "encoding/json"

// PythonTrue tells whether Python takes a decoded JSON value for true: empty and zero ones are not.
func PythonTrue(value any) bool {
	switch v := value.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		f, err := v.Float64()
		return err != nil || f != 0
	case float64:
		return v != 0
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	case Dict:
		return len(v) > 0
	}
	return true
}
