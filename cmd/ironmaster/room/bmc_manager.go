package room

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

const managersPath = rootPath + "/Managers"

func (b *bmc) managerSelf() string { return managersPath + "/" + b.face.managerID }

var managerRoutes = buildManagerRoutes()

// buildManagerRoutes offers the virtual media at both places that Redfish knows; a BMC has them at one.
func buildManagerRoutes() []route {
	routes := []route{
		{path: managersPath, get: func(b *bmc, _ *http.Request) document {
			return collection(managersPath, "Manager", "Managers", b.managerSelf())
		}},
		{path: managersPath + "/{manager}", get: manager},
		{path: managersPath + "/{manager}/Actions/Manager.Reset", post: resetManager},
	}
	for _, parent := range []string{managersPath + "/{manager}", systemPattern} {
		routes = append(routes,
			route{path: parent + "/VirtualMedia", get: mediaCollection},
			route{path: parent + "/VirtualMedia/{media}", get: mediaOf, patch: patchMedia},
			route{path: parent + "/VirtualMedia/{media}/Actions/VirtualMedia.InsertMedia", post: insertMedia},
			route{path: parent + "/VirtualMedia/{media}/Actions/VirtualMedia.EjectMedia", post: ejectMedia},
		)
	}
	return routes
}

func manager(b *bmc, _ *http.Request) document {
	resource := document{
		"@odata.id":       b.managerSelf(),
		"@odata.type":     "#Manager.v1_5_0.Manager",
		"Id":              b.face.managerID,
		"Name":            "BMC of " + b.m.info.Name,
		"ManagerType":     "BMC",
		"Manufacturer":    b.face.manufacturer,
		"Model":           b.face.controller,
		"FirmwareVersion": b.face.firmware,
		"PowerState":      "On",
		"Status":          healthy(),
		"Links": document{
			"ManagerForServers": links(b.systemPath()),
			"ManagerForChassis": links(b.chassisSelf()),
		},
		"Actions": document{"#Manager.Reset": document{
			"target":                            b.managerSelf() + "/Actions/Manager.Reset",
			"ResetType@Redfish.AllowableValues": []string{"ForceRestart", "GracefulRestart"},
		}},
	}
	if !b.m.traits.systemMedia {
		resource["VirtualMedia"] = link(b.managerSelf() + "/VirtualMedia")
	}
	if b.face.manager != nil {
		b.face.manager(b, resource)
	}
	return resource
}

// resetManager restarts the BMC, which forgets its sessions.
func resetManager(b *bmc, w http.ResponseWriter, _ *http.Request, body document) *redfishError {
	if kind := body["ResetType"]; kind != nil && kind != "ForceRestart" && kind != "GracefulRestart" {
		return errActionValue("Manager.Reset", "ResetType", kind)
	}
	b.sessions.clear()
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// hasMediaAt tells whether the path of the request is where this BMC has its virtual media.
func (b *bmc) hasMediaAt(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, systemsPath) == b.m.traits.systemMedia
}

func mediaCollection(b *bmc, r *http.Request) document {
	if !b.hasMediaAt(r) {
		return nil
	}
	self := strings.TrimSuffix(r.URL.Path, "/")
	var members []string
	for _, name := range slices.Sorted(maps.Keys(b.m.view().media)) {
		members = append(members, self+"/"+b.face.mediaID(name))
	}
	return collection(self, "VirtualMedia", "Virtual Media", members...)
}

func mediaOf(b *bmc, r *http.Request) document {
	name, id := b.face.mediaName(r.PathValue("media")), r.PathValue("media")
	one, exists := b.m.view().media[name]
	if !exists || !b.hasMediaAt(r) {
		return nil
	}
	self := strings.TrimSuffix(r.URL.Path, "/")
	kinds := []string{"CD", "DVD"}
	if name == mediaFloppy {
		kinds = []string{"Floppy", "USBStick"}
	}
	resource := document{
		"@odata.id":      self,
		"@odata.type":    "#VirtualMedia.v1_3_2.VirtualMedia",
		"Id":             id,
		"Name":           "Virtual " + id,
		"MediaTypes":     kinds,
		"Image":          nil,
		"ImageName":      nil,
		"Inserted":       false,
		"ConnectedVia":   "NotConnected",
		"WriteProtected": one.WriteProtected,
	}
	if one.Image != "" {
		resource["Image"], resource["ImageName"] = one.Image, path.Base(one.Image)
		resource["Inserted"], resource["ConnectedVia"] = true, "URI"
	}
	if !b.m.traits.patchMedia {
		resource["Actions"] = document{
			"#VirtualMedia.InsertMedia": document{"target": self + "/Actions/VirtualMedia.InsertMedia"},
			"#VirtualMedia.EjectMedia":  document{"target": self + "/Actions/VirtualMedia.EjectMedia"},
		}
	}
	if b.face.medium != nil {
		b.face.medium(self, resource)
	}
	return resource
}

// mediaActions tells whether the request's virtual media device exists and has actions.
func (b *bmc) mediaActions(r *http.Request) bool {
	_, exists := b.m.view().media[b.face.mediaName(r.PathValue("media"))]
	return exists && b.hasMediaAt(r) && !b.m.traits.patchMedia
}

func insertMedia(b *bmc, w http.ResponseWriter, r *http.Request, body document) *redfishError {
	const action = "VirtualMedia.InsertMedia"
	if !b.mediaActions(r) {
		return errNotFound(r.URL.Path)
	}
	value, given := body["Image"]
	if !given || value == nil {
		return errActionMissing(action, "Image")
	}
	image, ok := mediaURL(value)
	if !ok {
		return errActionValue(action, "Image", value)
	}
	writeProtected := body["WriteProtected"] != false
	if failure := b.setMedia(r.Context(), b.face.mediaName(r.PathValue("media")), medium{image, writeProtected}); failure != nil {
		return failure
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func ejectMedia(b *bmc, w http.ResponseWriter, r *http.Request, _ document) *redfishError {
	if !b.mediaActions(r) {
		return errNotFound(r.URL.Path)
	}
	if failure := b.setMedia(r.Context(), b.face.mediaName(r.PathValue("media")), medium{WriteProtected: true}); failure != nil {
		return failure
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// patchMedia is how BMCs without the actions insert and eject: Image with a URL, or Image null or Inserted false.
func patchMedia(b *bmc, r *http.Request, body document) *redfishError {
	if !b.m.traits.patchMedia {
		return errMethodNotAllowed(r.Method)
	}
	if failure := onlyProperties(body, "Image", "Inserted", "WriteProtected", "UserName", "Password",
		"TransferMethod", "TransferProtocolType"); failure != nil {
		return failure
	}
	value, given := body["Image"]
	if body["Inserted"] == false || given && value == nil {
		return b.setMedia(r.Context(), b.face.mediaName(r.PathValue("media")), medium{WriteProtected: true})
	}
	if !given {
		return errActionMissing("PATCH", "Image")
	}
	image, ok := mediaURL(value)
	if !ok {
		return errPropertyValue("Image", value)
	}
	return b.setMedia(r.Context(), b.face.mediaName(r.PathValue("media")), medium{image, body["WriteProtected"] != false})
}

// setMedia changes what is in a device. An image on top of another is refused, as the schema advises.
func (b *bmc) setMedia(ctx context.Context, id string, one medium) *redfishError {
	if one.Image != "" && b.m.view().media[id].Image != "" {
		return errInUse()
	}
	if err := b.m.computer.Insert(ctx, id, one.Image); err != nil {
		b.m.log.Warn().Err(err).Str("drive", id).Msg("changing virtual media")
		return errTransfer(err)
	}
	var failure *redfishError
	b.m.change(func(s *state) {
		if one.Image != "" && s.media[id].Image != "" {
			failure = errInUse()
			return
		}
		s.media[id] = one
	})
	return failure
}

func mediaURL(value any) (string, bool) {
	text, ok := value.(string)
	if !ok {
		return "", false
	}
	u, err := url.Parse(text)
	return text, err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}
