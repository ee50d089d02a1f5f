package drivers

// The driver_info keys that boot interfaces of several hardware types read, in ironic's words (ironic/drivers/utils.py).
const (
	KeyBootPersistency      = "force_persistent_boot_device"
	DescribeBootPersistency = "Controls the persistency of boot order changes. 'Always' will make all changes " +
		"persistent, 'Default' will make all but the final one upon instance deployment non-persistent, and 'Never' will make no " +
		"persistent changes at all. The old values 'True' and 'False' are still supported but deprecated in favor of the new " +
		"ones.Defaults to 'Default'. Optional."
	KeyKernelParams = "kernel_append_params"
)

// DescribeKernelParams describes KeyKernelParams for an interface whose options are in group.
func DescribeKernelParams(group string) string {
	return "Additional kernel parameters to pass down to instance kernel. These parameters can be consumed by the kernel or by the applications " +
		"by reading /proc/cmdline. Mind severe cmdline size limit. When used with virtual media, only applies to ISO images that Ironic builds, " +
		"but not to pre-built ISOs provided via e.g. deploy_iso. Overrides the [" + group + "]/kernel_append_params configuration option, use " +
		"%default% to insert its value."
}
