package conductor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// requestedSteps are the steps of a request.
type requestedSteps struct {
	list []store.Dict
	// wording is how ironic's texts show each of them.
	wording wording
}

// wording maps steps in the form of PythonRepr to the form in which ironic shows them, with the keys in the order of the request.
// Maps do not keep that order, and the database's JSON need not: who goes on with a flow later does not have it.
type wording map[string]string

// of shows a step.
func (w wording) of(step store.Dict) string {
	plain := store.PythonRepr(step)
	if asked, known := w[plain]; known {
		return asked
	}
	return plain
}

// complete notes how a clean or service step is shown that was asked for in some form, now that it says whether it can be aborted,
// and its priority.
func (w wording) complete(asked string, step store.Dict) {
	abortable, added := step["abortable"]
	if w == nil || !added || strings.Contains(asked, "'abortable': ") {
		return
	}
	w[store.PythonRepr(step)] = fmt.Sprintf("%s, 'abortable': %s, 'priority': %s}", strings.TrimSuffix(asked, "}"),
		store.PythonRepr(abortable), store.PythonRepr(step["priority"]))
}

// UnmarshalJSON reads an array of steps, and null for none.
func (r *requestedSteps) UnmarshalJSON(text []byte) error {
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	r.list, r.wording = nil, wording{}
	for _, one := range all {
		if bytes.Equal(one, []byte("null")) {
			r.list = append(r.list, nil)
			continue
		}
		step, err := store.ParseDict(one)
		if err != nil {
			return err
		}
		if r.wording[store.PythonRepr(step)], err = store.PythonReprJSON(one); err != nil {
			return err
		}
		r.list = append(r.list, step)
	}
	return nil
}
