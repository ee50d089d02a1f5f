package sql

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// databaseURL is a SQLAlchemy URL, taken apart.
type databaseURL struct {
	// backend is sqlite, mysql or postgresql; the Python driver after "+" does not matter.
	backend                              string
	user, password, host, port, database string
	query                                url.Values
}

// urlPattern is the shape that SQLAlchemy's make_url takes: a password may hold ":" and "/", but "@" only as %40.
var urlPattern = regexp.MustCompile(`^([\w+]+)://(?:([^:/]*)(?::([^@]*))?@)?(?:\[([^/?]+)\]|([^/:?]+))?(?::([^/?]*))?` +
	`(?:/([^?]*))?(?:\?(.*))?$`)

// parseURL reads [database]connection with [database]connection_parameters appended to its query. No error holds any
// part of the URL but its scheme, since a password could be anywhere in a URL that is written wrongly.
func parseURL(text, parameters string) (databaseURL, error) {
	m := urlPattern.FindStringSubmatch(text)
	if m == nil {
		return databaseURL{}, errors.New("the URL has not the form backend+driver://user:password@host:port/database?options")
	}
	scheme, _, _ := strings.Cut(m[1], "+")
	u := databaseURL{host: m[4] + m[5], port: m[6], database: m[7]}
	switch scheme {
	case "sqlite":
		u.backend = "sqlite"
	case "mysql", "mariadb":
		u.backend = "mysql"
	case "postgresql", "postgres":
		u.backend = "postgresql"
	default:
		return databaseURL{}, fmt.Errorf("databases of kind %q are not supported: choose mysql, postgresql or sqlite", scheme)
	}
	var err error
	if u.user, err = url.PathUnescape(m[2]); err != nil {
		return databaseURL{}, errors.New("the URL's user holds a wrong percent sign: write % as %25")
	}
	if u.password, err = url.PathUnescape(m[3]); err != nil {
		return databaseURL{}, errors.New("the URL's password holds a wrong percent sign: write % as %25")
	}
	query := m[8]
	if extra := strings.TrimLeft(parameters, "?&"); extra != "" {
		query = strings.Trim(query+"&"+extra, "&")
	}
	if u.query, err = url.ParseQuery(query); err != nil {
		return databaseURL{}, errors.New("the options after ? in the URL cannot be read")
	}
	return u, nil
}

// redact takes the password out of another's error text.
func (u databaseURL) redact(err error) error {
	if u.password == "" || !strings.Contains(err.Error(), u.password) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), u.password, "***"))
}

func orDefault(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}
