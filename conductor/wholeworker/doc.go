// Package wholeworker tests the built program as users and operators meet it: a conductor process between real services
// (Debian's ironic-api, RabbitMQ, a database, Glance) and a simulated machine room. Everything is ordered through
// ironic-api's HTTP interface, and seen there, on the broker, at the operators' address or on the machines' disks. The
// tests called TestMixed run Debian's Python conductors beside it.
package wholeworker
