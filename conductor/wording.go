package conductor

import (
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
	// odd is what was sent in their place, and fault how Python fails to read steps from it; fault is nil for a list of objects.
	odd   any
	fault error
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

// UnmarshalJSON reads an array of steps, or notes what is no such array.
func (r *requestedSteps) UnmarshalJSON(text []byte) error {
	value, err := decodeAny(text)
	if err != nil {
		return err
	}
	*r = requestedSteps{wording: wording{}}
	if r.fault = checkSteps(value); r.fault != nil {
		r.odd = value
		return nil
	}
	if _, isList := value.([]any); !isList {
		return nil // A text or an object with nothing in it.
	}
	var all []json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return err
	}
	for _, one := range all {
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

// faultOfDeploy is the fault, unless there are no steps at all: a deployment does without.
func (r requestedSteps) faultOfDeploy() error {
	if !store.PythonTrue(r.odd) {
		return nil
	}
	return r.fault
}

// faultOfSome is the fault, unless null was sent.
func (r requestedSteps) faultOfSome() error {
	if r.odd == nil {
		return nil
	}
	return r.fault
}

// checkSteps reads a value as Python reads a list of steps, and returns how that fails.
func checkSteps(value any) error {
	steps, err := iterated(value)
	if err != nil {
		return err
	}
	for _, step := range steps {
		switch step.(type) {
		case map[string]any, store.Dict:
			continue
		}
		if _, err := subscripted(step, "step"); err != nil {
			return err
		}
	}
	return nil
}
