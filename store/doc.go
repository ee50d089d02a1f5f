// Package store is the model that all floors share: nodes and ports as the database holds them, the states they go
// through, and the errors that users of ironic see. It knows no wire format and no hardware. The database itself is in
// store/sql, the worker's own file in store/local.
package store
