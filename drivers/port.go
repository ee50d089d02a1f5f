package drivers

import (
	"strconv"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// NetworkPort reads the number of a port from a dictionary such as driver_info; fallback stands for a key that is missing or empty. The
// texts of its errors are those of ironic's utils.validate_network_port.
func NetworkPort(info store.Dict, key string, fallback int) (int, error) {
	text := info.String(key)
	if text == "" {
		return fallback, nil
	}
	port, err := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case err != nil:
		return 0, store.Errorf(store.InvalidParameterValue, `%s "%s" is not a valid integer.`, key, text)
	case port < 1 || port > 65535:
		return 0, store.Errorf(store.InvalidParameterValue,
			`%s "%s" is out of range. Valid port numbers must be between 1 and 65535.`, key, text)
	}
	return port, nil
}
