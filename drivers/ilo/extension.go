package ilo

import (
	"encoding/json"
	"strings"

	"github.com/ironmaster/ironmaster/drivers/redfish"
)

// The states of the power-on self test (HpeComputerSystemExt, PostState) that power changes wait for.
const (
	postOff      = "PowerOff"
	postFinished = "FinishedPost"
)

// postRunning are the states of a machine that has begun its self test.
var postRunning = []string{"InPost", "InPostDiscoveryComplete", postFinished}

// extension is what HPE adds to a ComputerSystem: below Oem.Hpe since iLO 5, below Oem.Hp on iLO 4.
type extension struct {
	PostState string
	Actions   map[string]struct {
		Target string `json:"target"`
	}
	Bios struct {
		// UefiClass is nil where the iLO does not tell: 0 knows BIOS alone, 2 both modes, 3 UEFI alone.
		UefiClass *int
		Current   struct{ VersionString string }
	}
	// Links is what iLO 4 names by href alone.
	Links map[string]hpLink
	// SmartStorageConfig names, on iLO 5, where the arrays of each controller are changed.
	SmartStorageConfig []hpLink
}

// hpLink is a link as iLO 4 writes it; newer ones have @odata.id.
type hpLink struct {
	Href string `json:"href"`
	ID   string `json:"@odata.id"`
}

// UnmarshalJSON takes the first of several links: newer firmware writes some into a list.
func (l *hpLink) UnmarshalJSON(text []byte) error {
	type plain hpLink
	var list []plain
	if json.Unmarshal(text, &list) == nil {
		if len(list) > 0 {
			*l = hpLink(list[0])
		}
		return nil
	}
	return json.Unmarshal(text, (*plain)(l))
}

func (l hpLink) path() string {
	if l.ID != "" {
		return l.ID
	}
	return l.Href
}

// action is the target of one of HPE's actions, "" where the iLO lacks it.
func (e *extension) action(name string) string {
	for action, one := range e.Actions {
		if strings.HasSuffix(action, "."+name) {
			return one.Target
		}
	}
	return ""
}

// readExtension reads HPE's part of a system; that of an iLO which has none is empty.
func readExtension(s *redfish.System) *extension {
	var oem struct{ Hpe, Hp *extension }
	// A part of another shape tells nothing, as a missing one does.
	_ = json.Unmarshal(s.OEM, &oem)
	switch {
	case oem.Hpe != nil:
		return oem.Hpe
	case oem.Hp != nil:
		return oem.Hp
	}
	return &extension{}
}
