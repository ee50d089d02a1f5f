// Package tftp serves boot files to machines that boot from the network: a folder, confined (Tree), and a read-only server
// of TFTP over it (RFC 1350, with the options blksize and tsize of RFC 2347 to 2349). The image server (drivers/image) gives out
// a Tree by HTTP.
//
// The protocol is github.com/pin/tftp's. What it does not have is left out here too: windowsize (RFC 7440), which firmware
// does not ask for, and timeout. Its "anticipate" mode sends blocks that nobody asked for and is not used: firmware with a
// small receive buffer would lose them.
package tftp
