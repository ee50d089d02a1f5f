package image

import (
	"slices"
	"strings"
)

// Check decides whether an image of the format found may be used: the format must be permitted, must be the declared
// one (declared may be empty), and the inspection must have found no trick. Failures are InvalidImage.
func (c SafetyConfig) Check(href string, in Inspection, declared string) error {
	if c.Disable {
		return nil
	}
	if in.Unsafe != "" {
		return unusable(href, "is unsafe: as %s, %s.", in.Format, in.Unsafe)
	}
	if !c.permits(in) {
		return unusable(href, "has the format %s, which is not one of the permitted formats (%s).", in.Format, c.permitted())
	}
	if c.MaxVirtualSize > 0 && in.VirtualSize > c.MaxVirtualSize {
		return unusable(href, "claims a virtual size of %d bytes, more than the limit of %d.", in.VirtualSize, c.MaxVirtualSize)
	}
	if declared != "" && !sameFormat(in.Format, Format(strings.ToLower(declared))) {
		return unusable(href, "is declared as %s but its contents are %s.", declared, in.Format)
	}
	return nil
}

// permits takes raw and gpt for the same when the image has a GPT: releases before 29.0 have no name for the latter.
func (c SafetyConfig) permits(in Inspection) bool {
	return slices.Contains(c.PermittedFormats, in.Format) ||
		in.Format == FormatRaw && in.PartitionTable == TableGPT && slices.Contains(c.PermittedFormats, FormatGPT)
}

func (c SafetyConfig) permitted() string {
	names := make([]string, len(c.PermittedFormats))
	for i, f := range c.PermittedFormats {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

// sameFormat compares what was found with what was declared. Kernels and ramdisks (aki, ari) are exempt as in ironic; a
// machine image (ami) is a raw file system.
func sameFormat(found, declared Format) bool {
	switch declared {
	case "aki", "ari":
		return true
	case FormatGPT, "ami":
		return found == FormatRaw
	}
	return found == declared
}
