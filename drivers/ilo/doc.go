// Package ilo drives HPE's machines: the hardware types ilo (iLO 4) and ilo5 (iLO 5 and newer), over the Redfish service of the iLO.
// Sessions, waits, virtual drives and boot ISOs are those of drivers/redfish; here is what HPE does otherwise: the power button,
// boot mode and boot order in the BIOS settings, the state of the power-on self test, and ironic's words (upstream reaches the iLO
// through proliantutils).
package ilo

import (
	"time"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/store"
)

// Config holds the options of [ilo], and those of other groups that count here.
type Config struct {
	// Port and Timeout count for nodes that say nothing ([ilo]client_port, client_timeout).
	Port    int
	Timeout time.Duration
	// CAFile and VerifyCA say how certificates are checked ([ilo]ca_file, verify_ca); CAFile wins.
	CAFile   string
	VerifyCA redfish.Verify
	// DefaultBootMode is [ilo]default_boot_mode: bios, uefi, or auto, which takes the machine's own.
	DefaultBootMode string
	// PowerWait is the pause between two looks at a machine that switches ([ilo]power_wait), PowerTimeout how long that may take
	// ([conductor]soft_power_off_timeout: the self test is waited for).
	PowerWait, PowerTimeout time.Duration
	// ResetPause is how long a reset iLO is left alone before it is asked whether it is back.
	ResetPause time.Duration
	// CertPath is where requests for certificates are put ([ilo]cert_path), WebserverCA the file whose certificates no step takes from
	// machines ([DEFAULT]webserver_verify_ca); "" is none.
	CertPath, WebserverCA string
	// CSRPause is the pause between two looks for a request for a certificate, CSRTimeout how long an iLO may take for it.
	CSRPause, CSRTimeout time.Duration
	// FlashTimeout is how long an iLO may be idle after it was told to update firmware before that counts as failed.
	FlashTimeout time.Duration
	// Sensing reads sensors, by IPMI.
	Sensing drivers.Sensing
	// Priorities are those of the clean steps, by name ([ilo]clean_priority_*).
	Priorities map[string]int
}

// NewSensing reads the sensors of iLOs as those of BMCs that speak IPMI, with the iLO's address and account.
func NewSensing(c *ipmi.Client) drivers.Sensing { return ipmi.NewManagementOf(c, inIPMIWords) }

// base is what every interface of iLO machines has in common.
type base struct {
	bmcs *redfish.BMCs
	cfg  Config
}

// newBase reaches iLOs through the sessions of c.
func newBase(c *redfish.Client, cfg Config) base {
	return base{cfg: cfg, bmcs: c.Of(redfish.Vendor{
		Access: func(n *store.Node) (redfish.Access, error) { return access(n, cfg) },
		Failed: operationFailed,
	})}
}

// operationFailed is ironic's IloOperationError.
func operationFailed(operation, reason string) error {
	return store.Errorf(store.IloOperationError, "%s failed, error: %s", operation, reason)
}

// notSupported is ironic's IloOperationNotSupported.
func notSupported(operation, reason string) error {
	return store.Errorf(store.IloOperationNotSupported, "%s not supported. error: %s", operation, reason)
}

// reason is why something cannot be done, in the words of proliantutils.
type reason = redfish.Reason
