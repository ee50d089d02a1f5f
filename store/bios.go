package store

// BIOSSetting is a row of bios_settings: a firmware setting of a node, with what the firmware's attribute registry says of it (DMTF
// DSP0266, AttributeRegistry). Nil stands for what neither tells.
type BIOSSetting struct {
	Name  string
	Value *string

	Type                   *string
	AllowableValues        []string
	LowerBound, UpperBound *int64
	MinLength, MaxLength   *int64
	ReadOnly               *bool
	ResetRequired          *bool
	Unique                 *bool
}
