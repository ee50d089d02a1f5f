// Package traitnet decides by rules which ports and port groups a virtual interface is attached to: ironic's trait-based networking
// (since 34.0). The rules lie in a file, each under the name of a trait, and go for nodes whose instance asks for that trait.
package traitnet
