package jsonrpc

// tooDeep tells whether objects and arrays are nested deeper than max. Brackets in strings do not count. It needs no
// valid JSON.
func tooDeep(body []byte, max int) bool {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > max {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
