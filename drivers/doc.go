// Package drivers defines what a conductor asks of hardware: interface types, hardware types, steps, and the Task that
// an implementation is handed. Implementations live in one package per technology below this one; drivers/catalog
// brings them together.
package drivers
