package store

import (
	"encoding/json"
	"strings"
)

// PythonType names the type that Python decodes a JSON value to, because ironic's texts name it.
func PythonType(value any) string {
	switch v := value.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case string:
		return "str"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "float"
		}
		return "int"
	case int, int64:
		return "int"
	case []any:
		return "list"
	}
	return "dict"
}
