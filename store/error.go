package store

import (
	"errors"
	"fmt"
)

// Kind names what went wrong in the vocabulary that ironic's users know: the class name of an exception in
// ironic.common.exception. The messaging floor turns it into a failure reply with the HTTP code of that class.
type Kind string

// The kinds that a conductor raises. The names are ironic's; grouping and codes are in reference/rpc.md §5.
const (
	IronicException                Kind = "IronicException"
	Invalid                        Kind = "Invalid"
	InvalidParameterValue          Kind = "InvalidParameterValue"
	MissingParameterValue          Kind = "MissingParameterValue"
	InvalidMAC                     Kind = "InvalidMAC"
	InvalidIdentity                Kind = "InvalidIdentity"
	InvalidConductorGroup          Kind = "InvalidConductorGroup"
	InvalidStateRequested          Kind = "InvalidStateRequested"
	InvalidState                   Kind = "InvalidState"
	InvalidImageRef                Kind = "InvalidImageRef"
	InvalidImage                   Kind = "InvalidImage"
	InterfaceNotFoundInEntrypoint  Kind = "InterfaceNotFoundInEntrypoint"
	IncompatibleInterface          Kind = "IncompatibleInterface"
	NoValidDefaultForInterface     Kind = "NoValidDefaultForInterface"
	UnsupportedDriverExtension     Kind = "UnsupportedDriverExtension"
	NodeInMaintenance              Kind = "NodeInMaintenance"
	NodeIsRetired                  Kind = "NodeIsRetired"
	BadRequest                     Kind = "BadRequest"
	NodeNotLocked                  Kind = "NodeNotLocked"
	NodeProtected                  Kind = "NodeProtected"
	ExclusiveLockRequired          Kind = "ExclusiveLockRequired"
	NotFound                       Kind = "NotFound"
	NodeNotFound                   Kind = "NodeNotFound"
	PortNotFound                   Kind = "PortNotFound"
	PortgroupNotFound              Kind = "PortgroupNotFound"
	VolumeConnectorNotFound        Kind = "VolumeConnectorNotFound"
	VolumeTargetNotFound           Kind = "VolumeTargetNotFound"
	AllocationNotFound             Kind = "AllocationNotFound"
	ConductorNotFound              Kind = "ConductorNotFound"
	DriverNotFound                 Kind = "DriverNotFound"
	ChassisNotFound                Kind = "ChassisNotFound"
	ChassisAlreadyExists           Kind = "ChassisAlreadyExists"
	ChassisNotEmpty                Kind = "ChassisNotEmpty"
	InstanceNotFound               Kind = "InstanceNotFound"
	NodeHistoryNotFound            Kind = "NodeHistoryNotFound"
	NodeInventoryNotFound          Kind = "NodeInventoryNotFound"
	DeployTemplateNotFound         Kind = "DeployTemplateNotFound"
	DeployTemplateDuplicateName    Kind = "DeployTemplateDuplicateName"
	DeployTemplateAlreadyExists    Kind = "DeployTemplateAlreadyExists"
	RunbookNotFound                Kind = "RunbookNotFound"
	RunbookDuplicateName           Kind = "RunbookDuplicateName"
	RunbookAlreadyExists           Kind = "RunbookAlreadyExists"
	RunbookTraitNotFound           Kind = "RunbookTraitNotFound"
	InspectionRuleNotFound         Kind = "InspectionRuleNotFound"
	InspectionRuleAlreadyExists    Kind = "InspectionRuleAlreadyExists"
	FirmwareComponentNotFound      Kind = "FirmwareComponentNotFound"
	FirmwareComponentAlreadyExists Kind = "FirmwareComponentAlreadyExists"
	BIOSSettingNotFound            Kind = "BIOSSettingNotFound"
	BIOSSettingListNotFound        Kind = "BIOSSettingListNotFound"
	BIOSSettingAlreadyExists       Kind = "BIOSSettingAlreadyExists"
	InvalidTargetVersion           Kind = "InvalidTargetVersion"
	ImageNotFound                  Kind = "ImageNotFound"
	ImageNotAuthorized             Kind = "ImageNotAuthorized"
	NodeTraitNotFound              Kind = "NodeTraitNotFound"
	Conflict                       Kind = "Conflict"
	NodeLocked                     Kind = "NodeLocked"
	ParentNodeLocked               Kind = "ParentNodeLocked"
	ChildNodeLocked                Kind = "ChildNodeLocked"
	NodeAssociated                 Kind = "NodeAssociated"
	InstanceAssociated             Kind = "InstanceAssociated"
	NodeAlreadyExists              Kind = "NodeAlreadyExists"
	DuplicateName                  Kind = "DuplicateName"
	MACAlreadyExists               Kind = "MACAlreadyExists"
	PortAlreadyExists              Kind = "PortAlreadyExists"
	PortDuplicateName              Kind = "PortDuplicateName"
	PortgroupAlreadyExists         Kind = "PortgroupAlreadyExists"
	PortgroupDuplicateName         Kind = "PortgroupDuplicateName"
	PortgroupMACAlreadyExists      Kind = "PortgroupMACAlreadyExists"
	PortgroupNotEmpty              Kind = "PortgroupNotEmpty"
	PortgroupPhysnetInconsistent   Kind = "PortgroupPhysnetInconsistent"
	VolumeConnectorAlreadyExists   Kind = "VolumeConnectorAlreadyExists"
	VolumeTargetAlreadyExists      Kind = "VolumeTargetAlreadyExists"
	PowerStateFailure              Kind = "PowerStateFailure"
	InstanceDeployFailure          Kind = "InstanceDeployFailure"
	InstanceRescueFailure          Kind = "InstanceRescueFailure"
	InstanceUnrescueFailure        Kind = "InstanceUnrescueFailure"
	NodeCleaningFailure            Kind = "NodeCleaningFailure"
	NodeServicingFailure           Kind = "NodeServicingFailure"
	NodeVerifyFailure              Kind = "NodeVerifyFailure"
	StepNotAllowed                 Kind = "StepNotAllowed"
	BootModeNotAllowed             Kind = "BootModeNotAllowed"
	RedfishError                   Kind = "RedfishError"
	RedfishConnectionError         Kind = "RedfishConnectionError"
	IloOperationError              Kind = "IloOperationError"
	IloOperationNotSupported       Kind = "IloOperationNotSupported"
	DracOperationError             Kind = "DracOperationError"
	IRMCOperationError             Kind = "IRMCOperationError"
	AgentAPIError                  Kind = "AgentAPIError"
	AgentConnectionFailed          Kind = "AgentConnectionFailed"
	AgentCommandTimeout            Kind = "AgentCommandTimeout"
	AgentInProgress                Kind = "AgentInProgress"
	GlanceConnectionFailed         Kind = "GlanceConnectionFailed"
	ImageRefValidationFailed       Kind = "ImageRefValidationFailed"
	ImageDownloadFailed            Kind = "ImageDownloadFailed"
	ImageUnacceptable              Kind = "ImageUnacceptable"
	InvalidKickstartTemplate       Kind = "InvalidKickstartTemplate"
	InvalidKickstartFile           Kind = "InvalidKickstartFile"
	ImageConvertFailed             Kind = "ImageConvertFailed"
	ImageCreationFailed            Kind = "ImageCreationFailed"
	ImageChecksumError             Kind = "ImageChecksumError"
	ImageChecksumAlgorithmFailure  Kind = "ImageChecksumAlgorithmFailure"
	ImageChecksumFileReadFailure   Kind = "ImageChecksumFileReadFailure"
	ConcurrentActionLimit          Kind = "ConcurrentActionLimit"
	TemporaryFailure               Kind = "TemporaryFailure"
	NoFreeConductorWorker          Kind = "NoFreeConductorWorker"
	IncompatibleObjectVersion      Kind = "IncompatibleObjectVersion"
	UnsupportedObjectError         Kind = "UnsupportedObjectError"
	InsufficientDiskSpace          Kind = "InsufficientDiskSpace"
	IPMIFailure                    Kind = "IPMIFailure"
	FailedToGetSensorData          Kind = "FailedToGetSensorData"
	FailedToParseSensorData        Kind = "FailedToParseSensorData"
	SNMPFailure                    Kind = "SNMPFailure"
	StorageError                   Kind = "StorageError"
	ConsoleError                   Kind = "ConsoleError"
	ConsoleSubprocessFailed        Kind = "ConsoleSubprocessFailed"
	ConsoleContainerError          Kind = "ConsoleContainerError"
	PasswordFileFailedToCreate     Kind = "PasswordFileFailedToCreate"
	NoFreeIPMITerminalPorts        Kind = "NoFreeIPMITerminalPorts"
	NodeConsoleNotEnabled          Kind = "NodeConsoleNotEnabled"
	VendorPassthruException        Kind = "VendorPassthruException"
	UnsupportedHardwareFeature     Kind = "UnsupportedHardwareFeature"
	HardwareInspectionFailure      Kind = "HardwareInspectionFailure"
	InvalidNodeInventory           Kind = "InvalidNodeInventory"
	IncorrectConfiguration         Kind = "IncorrectConfiguration"
	FailedToUpdateDHCPOptOnPort    Kind = "FailedToUpdateDHCPOptOnPort"
	FailedToUpdateMacOnPort        Kind = "FailedToUpdateMacOnPort"
	NetworkError                   Kind = "NetworkError"
	NoFreePhysicalPorts            Kind = "NoFreePhysicalPorts"
	TBNAttributeRetrievalException Kind = "TBNAttributeRetrievalException"
	TBNNoTraitsApplicableToNode    Kind = "TBNNoTraitsApplicableToNode"
	TBNNoPortMatchesFound          Kind = "TBNNoPortMatchesFound"
	VifAlreadyAttached             Kind = "VifAlreadyAttached"
	VifInvalidForAttach            Kind = "VifInvalidForAttach"
	VifNotAttached                 Kind = "VifNotAttached"
	ConductorInterfacesRegistered  Kind = "ConductorHardwareInterfacesAlreadyRegistered"
	AllocationFailed               Kind = "AllocationFailed"
	AllocationAlreadyExists        Kind = "AllocationAlreadyExists"
	AllocationDuplicateName        Kind = "AllocationDuplicateName"

	VolumeConnectorTypeAndIdAlreadyExists Kind = "VolumeConnectorTypeAndIdAlreadyExists" //nolint:revive,staticcheck // ironic's own name
	TBNComparatorCollectionTypeMismatch   Kind = "TBNComparatorCollectionTypeMismatch"
	VolumeTargetBootIndexAlreadyExists    Kind = "VolumeTargetBootIndexAlreadyExists"
)

// Error is a failure that a user of ironic can be told: a kind and a finished text. Everything else that goes wrong is
// an ordinary Go error and reaches the user as an unnamed failure (HTTP 500).
type Error struct {
	Kind    Kind
	Message string
	// Code overrides the HTTP code of the kind when not zero. InstanceDeployFailure carries its cause's code this way.
	Code int
	// Argument is what the exception was made of where that is not its text, "" where it is.
	Argument string
	// cause is what led here; it is for the log, the user is shown Message alone.
	cause error
}

// Errorf builds an Error of the kind given. A %w in the format keeps its error as the cause.
func Errorf(kind Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Message: err.Error(), cause: errors.Unwrap(err)}
}

// Error returns the text that users see.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause, nil when there is none.
func (e *Error) Unwrap() error { return e.cause }

// Is reports whether target is an Error of the same kind.
func (e *Error) Is(target error) bool {
	var other *Error
	return errors.As(target, &other) && other.Kind == e.Kind
}

// KindOf returns the kind of the first Error in err's chain, "" when there is none.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// NodeLockedBy is the failure of taking a node's reservation while host holds it.
func NodeLockedBy(node, host string) *Error {
	return Errorf(NodeLocked,
		"Node %s is locked by host %s, please retry after the current operation is completed.", node, host)
}

// NoSuchNode is the failure of finding a node by id or UUID.
func NoSuchNode(node string) *Error {
	return Errorf(NodeNotFound, "Node %s could not be found.", node)
}

// ErrLockLost reports that a guarded UPDATE matched no row: somebody else took the reservation or moved the provision
// state. The holder must stop at once and touch no hardware.
var ErrLockLost = errors.New("the node's reservation was lost")
