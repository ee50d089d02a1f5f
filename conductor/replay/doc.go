// Package replay holds no code of the product: its tests put a conductor behind Debian's unmodified ironic-api, RabbitMQ
// and MariaDB, ask what was asked when upstream's conductor 21.4 was recorded, and compare everything that can be seen
// from outside: HTTP answers, replies on the broker, notifications, database rows and what a deploy agent was told.
//
// testdata/21.4 holds the recordings, testdata/setup.json what the database held before each, testdata/differences.json
// where this conductor differs on purpose (docs/compatibility.md says why). With REPLAY_CONDUCTOR=python the same tests run
// against Debian's own conductor, which proves the harness; REPLAY_CASES is a regular expression that selects cases.
package replay
