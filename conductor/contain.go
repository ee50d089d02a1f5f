package conductor

import (
	"fmt"
	"runtime/debug"

	"github.com/rs/zerolog"
)

// contain makes an error of a panic in fn: a bug that one node or one request brings to light must not end the work on all
// the others. doing says in a few words what fn is for.
func contain(log zerolog.Logger, doing string, fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error().Str("panic", fmt.Sprint(p)).Bytes("stack", debug.Stack()).Str("doing", doing).Msg("A bug was hit")
			err = fmt.Errorf("internal error while doing %s: %v", doing, p)
		}
	}()
	return fn()
}
