package room

import (
	"fmt"
	"io"
	"net/http"
)

// The BMC reads a firmware file when it is told to, and writes it at the machine's next start, one at a time.

const updatePath = rootPath + "/UpdateService"

var firmwareRoutes = []route{
	{path: updatePath, get: func(_ *bmc, r *http.Request) document {
		return document{"@odata.id": r.URL.Path, "@odata.type": "#UpdateService.v1_8_0.UpdateService", "Id": "UpdateService",
			"Name": "Update Service", "ServiceEnabled": true, "Status": healthy(), "Actions": document{
				"#UpdateService.SimpleUpdate": document{"target": updatePath + "/Actions/UpdateService.SimpleUpdate"}}}
	}},
	{path: updatePath + "/Actions/UpdateService.SimpleUpdate", post: simpleUpdate},
}

// simpleUpdate keeps a firmware file for the next start.
func simpleUpdate(b *bmc, w http.ResponseWriter, r *http.Request, body document) *redfishError {
	file, ok := body["ImageURI"].(string)
	if !ok {
		return errPropertyType("ImageURI", body["ImageURI"])
	}
	if err := b.readFirmware(r, file); err != nil {
		b.m.log.Info().Err(err).Msg("a firmware file can't be read")
		return errSystemState()
	}
	return b.atStart(w, jobFirmware, func(s *state) { s.firmware = append(s.firmware, file) })
}

func (b *bmc) readFirmware(r *http.Request, file string) error {
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, file, nil)
	if err != nil {
		return err
	}
	answer, err := b.m.room.insecure.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("GET answered %s", answer.Status)
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// biosVersion counts the firmware files that were written.
func (s *state) biosVersion() string { return fmt.Sprintf("1.%d.0", len(s.firmware)) }
