package drivers

// Transfer is how far a machine is with a boot file that it takes from this worker.
type Transfer struct {
	// Node is the UUID of the node that the file is for; empty for files that are for all.
	Node string
	// File is the name within the served folder, By the protocol as people call it, Peer the machine's address.
	File, By, Peer string
	// Bytes that went out, and that the file has.
	Bytes, Total int64
}
