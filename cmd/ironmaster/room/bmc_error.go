package room

import (
	"encoding/json"
	"fmt"
	"net/http"
)

// redfishError is an error answer with extended information (DSP0266 §8.6, registry Base 1.8).
type redfishError struct {
	status  int
	id      string
	message string
	args    []string
}

func (e *redfishError) write(w http.ResponseWriter) {
	args := e.args
	if args == nil {
		args = []string{}
	}
	severity := "Warning"
	if e.status >= http.StatusInternalServerError || e.status == http.StatusUnauthorized {
		severity = "Critical"
	}
	text, err := json.Marshal(document{"error": document{
		"code":    "Base.1.8." + e.id,
		"message": e.message,
		"@Message.ExtendedInfo": []document{{
			"@odata.type": "#Message.v1_1_1.Message",
			"MessageId":   "Base.1.8." + e.id,
			"Message":     e.message,
			"MessageArgs": args,
			"Severity":    severity,
			"Resolution":  "None.",
		}},
	}})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Redfish"`)
	}
	sendJSON(w, e.status, text)
}

func errNotFound(path string) *redfishError {
	return &redfishError{http.StatusNotFound, "ResourceMissingAtURI",
		fmt.Sprintf("The resource at the URI %s was not found.", path), []string{path}}
}

func errUnauthorized() *redfishError {
	return &redfishError{http.StatusUnauthorized, "InsufficientPrivilege",
		"There are insufficient privileges for the account or credentials associated with the current session to perform the requested operation.", nil}
}

func errMethodNotAllowed(method string) *redfishError {
	return &redfishError{http.StatusMethodNotAllowed, "OperationNotAllowed",
		fmt.Sprintf("The HTTP method %s is not allowed on this resource.", method), nil}
}

func errMalformed() *redfishError {
	return &redfishError{http.StatusBadRequest, "MalformedJSON",
		"The request body submitted was malformed JSON and could not be parsed by the receiving service.", nil}
}

func errInternal() *redfishError {
	return &redfishError{http.StatusInternalServerError, "InternalError",
		"The request failed due to an internal service error. The service is still operational.", nil}
}

func errUnavailable() *redfishError {
	return &redfishError{http.StatusServiceUnavailable, "ServiceTemporarilyUnavailable",
		"The service is temporarily unavailable. Retry in 5 seconds.", []string{"5"}}
}

func errSessionLimit() *redfishError {
	return &redfishError{http.StatusServiceUnavailable, "SessionLimitExceeded",
		"The session establishment failed due to the number of simultaneous sessions exceeding the limit of the implementation.", nil}
}

func errPreconditionFailed() *redfishError {
	return &redfishError{http.StatusPreconditionFailed, "PreconditionFailed",
		"The ETag supplied did not match the ETag required to change this resource.", nil}
}

func errPreconditionRequired() *redfishError {
	return &redfishError{http.StatusPreconditionRequired, "PreconditionRequired",
		"A precondition header or annotation is required to change this resource.", nil}
}

func errPropertyUnknown(name string) *redfishError {
	return &redfishError{http.StatusBadRequest, "PropertyUnknown",
		fmt.Sprintf("The property %s is not in the list of valid properties for the resource.", name), []string{name}}
}

func errPropertyType(name string, value any) *redfishError {
	return &redfishError{http.StatusBadRequest, "PropertyValueTypeError",
		fmt.Sprintf("The value %v for the property %s is of a different type than the property can accept.", value, name),
		[]string{fmt.Sprint(value), name}}
}

func errPropertyValue(name string, value any) *redfishError {
	return &redfishError{http.StatusBadRequest, "PropertyValueNotInList",
		fmt.Sprintf("The value %v for the property %s is not in the list of acceptable values.", value, name),
		[]string{fmt.Sprint(value), name}}
}

func errActionMissing(action, parameter string) *redfishError {
	return &redfishError{http.StatusBadRequest, "ActionParameterMissing",
		fmt.Sprintf("The action %s requires that the parameter %s be present in the request body.", action, parameter),
		[]string{action, parameter}}
}

func errActionValue(action, parameter string, value any) *redfishError {
	return &redfishError{http.StatusBadRequest, "ActionParameterValueFormatError",
		fmt.Sprintf("The value %v for the parameter %s in the action %s is of a different format than the parameter can accept.",
			value, parameter, action),
		[]string{fmt.Sprint(value), parameter, action}}
}

// errTransfer says that an image could not be had. The reason comes without the image's URL, which is a secret.
func errTransfer(err error) *redfishError {
	return &redfishError{http.StatusInternalServerError, "GeneralError",
		fmt.Sprintf("A general error has occurred: %v.", err), nil}
}

// errSystemState is what an iLO says to switching on what is on.
func errSystemState() *redfishError {
	return &redfishError{http.StatusBadRequest, "InvalidOperationForSystemState",
		"The operation was not successful due to the current power state (for example, attempting to turn the power off when it is already off).", nil}
}

func errInUse() *redfishError {
	return &redfishError{http.StatusConflict, "ResourceInUse",
		"The change to the requested resource failed because the resource is in use or in transition.", nil}
}
