package redfish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// BIOSSettings is where the settings that users see are kept: the table bios_settings.
type BIOSSettings interface {
	// ReplaceRegisteredBIOSSettings makes the stored settings of a node, by name, those given and no others.
	ReplaceRegisteredBIOSSettings(ctx context.Context, nodeID int64, settings []store.BIOSSetting) error
	// BIOSSettings reads the stored settings of a node.
	BIOSSettings(ctx context.Context, nodeID int64) ([]*store.BIOSSetting, error)
}

// BIOS is the bios interface redfish.
type BIOS struct {
	base
	settings BIOSSettings
	cfg      BIOSConfig
}

// NewBIOS returns the bios interface redfish.
func NewBIOS(c *Client, settings BIOSSettings) *BIOS {
	b := &BIOS{base: base{c.Plain()}, settings: settings}
	if c != nil {
		b.cfg = c.cfg.BIOS
	}
	return b
}

// Validate checks driver_info.
func (b *BIOS) Validate(_ context.Context, t *drivers.Task) error { return b.bmcs.Validate(t.Node) }

// biosResource is a Bios resource.
type biosResource struct {
	path     string
	Registry string         `json:"AttributeRegistry"`
	Values   map[string]any `json:"-"`
	Settings struct {
		Object rawLink  `json:"SettingsObject"`
		Times  []string `json:"SupportedApplyTimes"`
	} `json:"@Redfish.Settings"`
	Actions struct {
		Reset struct {
			Target string `json:"target"`
		} `json:"#Bios.ResetBios"`
	}
}

// bios reads the firmware's settings. Its error is *missing when the system shows none.
func (s *system) bios() (*biosResource, error) {
	at, err := linked(s.ODataID, s.RawData, "Bios")
	if err != nil {
		return nil, err
	}
	return s.biosAt(at)
}

func (s *system) biosAt(at string) (*biosResource, error) {
	f := &biosResource{path: at}
	var text json.RawMessage
	if err := s.Read(at, &text); err != nil {
		return nil, err
	}
	var attributes struct{ Attributes map[string]any }
	numbers := json.NewDecoder(bytes.NewReader(text))
	numbers.UseNumber()
	if err := errors.Join(json.Unmarshal(text, f), numbers.Decode(&attributes)); err != nil {
		return nil, &notRedfish{http.MethodGet, at, err.Error()}
	}
	f.Values = attributes.Attributes
	return f, nil
}

// CacheSettings records the firmware's settings, with what its registry says of them where it can be read.
func (b *BIOS) CacheSettings(ctx context.Context, t *drivers.Task) error {
	var all []store.BIOSSetting
	err := b.on(ctx, t, "", func(s *system) error {
		f, err := s.bios()
		var none *missing
		if errors.As(err, &none) {
			return store.Errorf(store.UnsupportedDriverExtension, "Cannot fetch BIOS attributes for node %s, BIOS settings are not supported.",
				t.Node.UUID)
		}
		if err != nil {
			return err
		}
		entries, err := s.registry(f.Registry)
		if err != nil {
			t.Log.Info().Str("reason", s.session.explain(err)).Msg("The registry of the BIOS settings can't be read")
		}
		for _, name := range slices.Sorted(maps.Keys(f.Values)) {
			one := store.BIOSSetting{Name: name}
			if value := f.Values[name]; value != nil {
				text := store.PythonText(value)
				one.Value = &text
			}
			entries[name].describe(&one)
			all = append(all, one)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return b.settings.ReplaceRegisteredBIOSSettings(ctx, t.Node.ID, all)
}

// registered is an attribute in an attribute registry.
type registered struct {
	Name  string `json:"AttributeName"`
	Type  *string
	Value []struct{ ValueName, ValueDisplayName string }

	LowerBound, UpperBound *json.Number
	MinLength, MaxLength   *json.Number
	ReadOnly               *bool
	ResetRequired          *bool
	Unique                 *bool `json:"IsSystemUniqueProperty"`
}

func (r *registered) describe(b *store.BIOSSetting) {
	if r == nil {
		return
	}
	b.Type, b.ReadOnly, b.ResetRequired, b.Unique = r.Type, r.ReadOnly, r.ResetRequired, r.Unique
	b.LowerBound, b.UpperBound = column(r.LowerBound), column(r.UpperBound)
	b.MinLength, b.MaxLength = column(r.MinLength), column(r.MaxLength)
	for _, v := range r.Value {
		if v.ValueName == "" {
			v.ValueName = v.ValueDisplayName
		}
		if v.ValueName != "" {
			b.AllowableValues = append(b.AllowableValues, v.ValueName)
		}
	}
}

// column is a number as its column takes it, nil for one that does not fit.
func column(n *json.Number) *int64 {
	if n == nil {
		return nil
	}
	v, err := n.Int64()
	if err != nil || v > math.MaxInt32 || v < math.MinInt32 {
		return nil
	}
	return &v
}

// registry reads the attribute registry of a name, in English.
func (s *system) registry(name string) (map[string]*registered, error) {
	if name == "" {
		return nil, nil
	}
	collection, err := s.service("Registries")
	if err != nil {
		return nil, err
	}
	files, err := s.members(collection)
	if err != nil {
		return nil, err
	}
	// The file's own name tells mostly which it is; some services have dozens.
	slices.SortStableFunc(files, func(a, b string) int { return likeness(name, b) - likeness(name, a) })
	for _, one := range files {
		var file struct {
			Registry string
			ID       string `json:"Id"`
			Location []struct{ Language, URI string }
		}
		if err := s.Read(one, &file); err != nil {
			return nil, err
		}
		if file.Registry != name && file.ID != name {
			continue
		}
		for _, l := range file.Location {
			if l.URI != "" && (l.Language == "" || strings.HasPrefix(strings.ToLower(l.Language), "en")) {
				return s.readRegistry(l.URI)
			}
		}
	}
	return nil, fmt.Errorf("the service has no registry %s in English", name)
}

func likeness(name, file string) int {
	if base := path.Base(file); strings.HasPrefix(name, base) || strings.HasPrefix(base, name) {
		return 1
	}
	return 0
}

func (s *system) readRegistry(at string) (map[string]*registered, error) {
	var all struct {
		RegistryEntries struct{ Attributes []*registered }
	}
	if err := s.Read(at, &all); err != nil {
		return nil, err
	}
	entries := map[string]*registered{}
	for _, one := range all.RegistryEntries.Attributes {
		if one != nil && entries[one.Name] == nil {
			entries[one.Name] = one
		}
	}
	return entries, nil
}

var _ drivers.BIOS = (*BIOS)(nil)
