package oslo

import (
	"strings"

	"github.com/ironmaster/ironmaster/messaging"
	"github.com/ironmaster/ironmaster/store"
)

const (
	ironicModule     = "ironic.common.exception"
	objectsModule    = "oslo_versionedobjects.exception"
	dispatcherModule = "oslo_messaging.rpc.dispatcher"
	builtinsModule   = "builtins"
)

// class is what an exception class of ironic tells the API: its HTTP code, and since when it exists.
type class struct {
	code   int
	module string
	since  messaging.Release
	// then is the code from release changed on, for the few classes that got another one.
	changed messaging.Release
	then    int
}

// classNames are the classes of ironic.common.exception in 21.4 by HTTP code, read off the real module.
var classNames = map[int]string{
	400: `
		ChassisNotEmpty IncompatibleInterface IncompleteLookup InterfaceNotFoundInEntrypoint Invalid
		InvalidConductorGroup InvalidContent InvalidDatapathID InvalidDeployTemplate InvalidIdentity InvalidImageRef
		InvalidKickstartFile InvalidKickstartTemplate InvalidMAC InvalidName InvalidParameterValue
		InvalidStateRequested InvalidSwitchID InvalidUUID InvalidUuidOrName MissingParameterValue
		NoFreePhysicalPorts NoValidDefaultForInterface NodeConsoleNotEnabled NodeInMaintenance NodeIsRetired
		NodeMaintenanceFailure NodeNotLocked PatchError PortgroupNotEmpty UnsupportedDriverExtension VifNotAttached
	`,
	403: `
		ExclusiveLockRequired HTTPForbidden ImageNotAuthorized NodeProtected NotAuthorized OperationNotPermitted
	`,
	404: `
		AllocationNotFound BIOSSettingListNotFound BIOSSettingNotFound ChassisNotFound ConductorNotFound
		DeployTemplateNotFound DriverNotFound DriverNotFoundInEntrypoint HTTPNotFound ImageNotFound InstanceNotFound
		NoValidHost NodeHistoryNotFound NodeInventoryNotFound NodeNotFound NodeTraitNotFound NotFound PortNotFound
		PortgroupNotFound VolumeConnectorNotFound VolumeTargetNotFound
	`,
	406: `
		NotAcceptable
	`,
	409: `
		AllocationAlreadyExists AllocationDuplicateName BIOSSettingAlreadyExists ChassisAlreadyExists Conflict
		DeployTemplateAlreadyExists DeployTemplateDuplicateName DuplicateName InstanceAssociated InvalidState
		MACAlreadyExists NodeAlreadyExists NodeAssociated NodeInventoryAlreadyExists NodeLocked PortAlreadyExists
		PortDuplicateName PortgroupAlreadyExists PortgroupDuplicateName PortgroupMACAlreadyExists PowerStateFailure
		VifAlreadyAttached VifInvalidForAttach VolumeConnectorAlreadyExists VolumeConnectorTypeAndIdAlreadyExists
		VolumeTargetAlreadyExists VolumeTargetBootIndexAlreadyExists
	`,
	500: `
		AgentAPIError AgentCommandTimeout AgentConnectionFailed AgentInProgress AllocationFailed BadRequest
		CatalogNotFound CommunicationError ConcurrentActionLimit ConductorAlreadyRegistered
		ConductorHardwareInterfacesAlreadyRegistered ConfigInvalid ConfigNotFound ConsoleError
		ConsoleContainerError ConsoleSubprocessFailed DHCPLoadError DatabaseVersionTooOld DirectoryNotWritable DracOperationError
		DriverLoadError DriverOperationError Duplicate FailedToCleanDHCPOpts FailedToGetIPAddressOnPort
		FailedToGetSensorData FailedToParseSensorData FailedToUpdateDHCPOptOnPort FailedToUpdateMacOnPort
		FileSystemNotSupported Forbidden GlanceConnectionFailed HardwareInspectionFailure IBMCConnectionError
		IBMCError IPMIFailure IRMCOperationError IRMCSharedFileSystemNotMounted IloOperationError
		IloOperationNotSupported ImageChecksumAlgorithmFailure ImageChecksumError ImageChecksumURLNotSupported
		ImageConvertFailed ImageCreationFailed ImageDownloadFailed ImageRefIsARedirect ImageRefValidationFailed
		ImageUnacceptable ImageUploadFailed IncorrectConfiguration IronicException InputFileError InstanceDeployFailure
		InstanceRescueFailure InstanceUnrescueFailure InsufficientDiskSpace InsufficientMemory InvalidEndpoint
		InvalidIPAddress InvalidIPv4Address InvalidImage KeystoneFailure KeystoneUnauthorized NetworkError
		NoConsolePid NoDriversLoaded NodeCleaningFailure NodeTagNotFound NodeVerifyFailure NotificationPayloadError
		NotificationSchemaKeyError NotificationSchemaObjectError PasswordFileFailedToCreate PathNotFound
		PortgroupPhysnetInconsistent RedfishConnectionError RedfishError SNMPFailure ServiceUnavailable StorageError
		SwiftObjectNotFoundError SwiftObjectStillExists SwiftOperationError Unauthorized VendorPassthruException
		XClarityError
	`,
	503: `
		ImageChecksumFileReadFailure NoFreeConductorWorker NoFreeIPMITerminalPorts TemporaryFailure
	`,
}

// laterClasses came after 21.4 (reference/rpc.md §5). The release is the first that is known to have it.
var laterClasses = map[store.Kind]class{
	"BootModeNotAllowed":             {code: 400, since: messaging.V26_0},
	"UnsupportedHardwareFeature":     {code: 400, since: messaging.V24_0},
	"InvalidNodeInventory":           {code: 400, since: messaging.V22_1},
	"ParentNodeLocked":               {code: 409, since: messaging.V28_0},
	"ChildNodeLocked":                {code: 409, since: messaging.V28_0},
	"RunbookNotFound":                {code: 404, since: messaging.V2024_2},
	"RunbookDuplicateName":           {code: 409, since: messaging.V2024_2},
	"RunbookAlreadyExists":           {code: 409, since: messaging.V2024_2},
	"RunbookTraitNotFound":           {code: 404, since: messaging.V36_0},
	"InspectionRuleNotFound":         {code: 404, since: messaging.V2025_1},
	"InspectionRuleAlreadyExists":    {code: 409, since: messaging.V2025_1},
	"FirmwareComponentNotFound":      {code: 404, since: messaging.V22_1},
	"FirmwareComponentAlreadyExists": {code: 409, since: messaging.V22_1},
	"NodeServicingFailure":           {code: 500, since: messaging.V26_0},
	"StepNotAllowed":                 {code: 400, since: messaging.V2025_1}, // of 37.0, and in security updates from 29.0 on

	store.TBNAttributeRetrievalException:      {code: 500, since: messaging.V34_0},
	store.TBNComparatorCollectionTypeMismatch: {code: 500, since: messaging.V34_0},
	store.TBNNoTraitsApplicableToNode:         {code: 500, since: messaging.V34_0},
	store.TBNNoPortMatchesFound:               {code: 500, since: messaging.V34_0},

	"ImageHostRateLimitFailure": {code: 503, since: messaging.Newest},
}

var classes = buildClasses()

func buildClasses() map[store.Kind]class {
	all := map[store.Kind]class{
		"UnsupportedObjectError":    {code: 500, module: objectsModule},
		"IncompatibleObjectVersion": {code: 500, module: objectsModule},
		"InvalidTargetVersion":      {code: 500, module: objectsModule},
	}
	for code, names := range classNames {
		for _, name := range strings.Fields(names) {
			all[store.Kind(name)] = class{code: code, module: ironicModule}
		}
	}
	for kind, c := range laterClasses {
		c.module = ironicModule
		all[kind] = c
	}
	for kind, c := range map[store.Kind]class{
		store.ConcurrentActionLimit: {changed: messaging.V2025_1, then: 503},
		"Unauthorized":              {changed: messaging.Newest, then: 401},
	} {
		known := all[kind]
		known.changed, known.then = c.changed, c.then
		all[kind] = known
	}
	return all
}

// stand-ins for a class that a release does not have yet: the API refuses to rebuild a class that it does not know and
// shows HTTP 500, so a general class of the same code is named instead.
var standIns = map[int]store.Kind{
	400: store.InvalidParameterValue, 401: "NotAuthorized", 403: "NotAuthorized", 404: store.NotFound, 406: "NotAcceptable",
	409: store.Conflict, 503: store.TemporaryFailure,
}

// Code returns the HTTP code that ironic-api of the release answers for a kind of failure; 500 for an unknown kind.
func Code(kind store.Kind, release messaging.Release) int {
	c, ok := classes[kind]
	if !ok {
		return 500
	}
	if c.changed != 0 && release >= c.changed {
		return c.then
	}
	return c.code
}

// wireClass returns module and name of the class to send for kind to an API of the release.
func wireClass(kind store.Kind, release messaging.Release) (module string, name store.Kind) {
	c, ok := classes[kind]
	if ok && release >= c.since {
		return c.module, kind
	}
	if name, ok = standIns[Code(kind, release)]; ok {
		return ironicModule, name
	}
	return ironicModule, "IronicException"
}
