// Package lab starts the real services around an ironic conductor on one machine, for tests and for the demo: RabbitMQ,
// MariaDB or PostgreSQL, Debian's unmodified ironic-api (and, when asked, its Python ironic-conductor), Glance, Keystone and Neutron.
//
// Everything listens on loopback only, on ports that this package reserves, keeps its data below one folder, and runs in
// a process group of its own. Several labs run side by side, and beside whatever the machine runs already. Services are
// ended by process id: by Close, when the context given to the starter is cancelled, and by the kernel when the program
// that started them dies.
//
// The programs come from Debian packages (Debian 12 and 13); the script install-packages beside this file installs them.
// Ironic and RabbitMQ may come from a folder with another Debian release (Options.Release), made by debian-root.
// Preparing a schema costs seconds, so the first lab on a machine keeps the freshly made database files in the user's
// cache folder, named by package versions, and later ones copy them.
package lab
