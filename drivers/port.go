package drivers

import (
	"github.com/ironmaster/ironmaster/store"
)

// NetworkPort reads the number of a port from a dictionary such as driver_info; fallback stands for a key that is missing. The text of its
// error and what it takes are those of ironic's utils.validate_network_port, 0 among it.
func NetworkPort(info store.Dict, key string, fallback int) (int, error) {
	value, given := info[key]
	if !given {
		return fallback, nil
	}
	port, known, err := info.Int(key)
	if err != nil || !known || port < 0 || port > 65535 {
		return 0, store.Errorf(store.InvalidParameterValue, `%s "%s" is not a valid port.`, key, store.PythonText(value))
	}
	return int(port), nil
}
