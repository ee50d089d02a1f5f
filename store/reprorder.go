package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// PythonReprJSON prints a JSON text as Python shows what it decodes of it: as PythonRepr, but with the keys of objects in the
// order of the text.
func PythonReprJSON(text []byte) (string, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var b strings.Builder
	err := writeNext(&b, dec)
	if err == nil {
		if _, err = dec.Token(); err == io.EOF {
			return b.String(), nil
		}
		err = fmt.Errorf("something follows the value (%v)", err)
	}
	return "", fmt.Errorf("reading JSON: %w", err)
}

// writeNext writes the decoder's next value.
func writeNext(b *strings.Builder, dec *json.Decoder) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	open, nested := token.(json.Delim)
	if !nested {
		writeRepr(b, token)
		return nil
	}
	b.WriteString(open.String())
	for i := 0; dec.More(); i++ {
		if i > 0 {
			b.WriteString(", ")
		}
		if open == '{' {
			if err := writeNext(b, dec); err != nil {
				return err
			}
			b.WriteString(": ")
		}
		if err := writeNext(b, dec); err != nil {
			return err
		}
	}
	end, err := dec.Token()
	b.WriteString(fmt.Sprint(end))
	return err
}
