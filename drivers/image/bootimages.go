package image

import (
	"context"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// Shower reads the metadata of images.
type Shower interface {
	Show(ctx context.Context, ref Ref) (Metadata, error)
}

// Sources reads what is known of images: AtOnce for what a user waits for, Patiently for flows, which wait for a source that is
// away.
type Sources struct {
	AtOnce, Patiently Shower
	// RamdiskFromImage lets a Glance image say what an instance boots that is a ramdisk, as ironic does since 35.0.
	RamdiskFromImage bool
}

// NewSources returns Sources over a Service.
func NewSources(s *Service, ramdiskFromImage bool) Sources {
	return Sources{AtOnce: s, Patiently: Patient{s}, RamdiskFromImage: ramdiskFromImage}
}

// BootWish is an instance, and what it boots.
type BootWish struct {
	Node *store.Node
	// Local tells that it boots its disk, which an image is written to. Such a wish can be validated only.
	Local bool
	// Installer tells that it boots an installer, which needs a second stage, and not a ramdisk.
	Installer bool
	// Whole has all of instance_info looked at, also what other ways to boot would read. Ironic's virtual media do so.
	Whole     bool
	Requester Requester
}

// BootImages are the hrefs of what such an instance boots: an ISO, or a kernel and its ramdisk.
type BootImages struct{ ISO, Kernel, Ramdisk string }

// ValidateBoot checks that an instance names what it is to boot, in ironic's order and words. Errors are MissingParameterValue and
// InvalidParameterValue.
func (s Sources) ValidateBoot(ctx context.Context, w BootWish) error {
	info, err := w.named(s.RamdiskFromImage)
	if err != nil {
		return err
	}
	iso, source := info.String("boot_iso"), info.String(keyImageSource)
	if iso != "" && source != "" {
		return twoSources(".")
	}
	href, path := source, w.Node.DriverInternalInfo.Bool(keySourceIsPath, false)
	if href == "" {
		href = iso
	}
	if iso != "" || path || w.Local || w.Node.DriverInternalInfo.Bool(keyIsWholeDisk, false) {
		if err := ValidateSource(href); err != nil || !path {
			return err
		}
	}
	wanted, properties := []string{"kernel", "ramdisk"}, store.Dict{}
	if IsGlance(href) {
		wanted = []string{"kernel_id", "ramdisk_id"}
		if w.Installer {
			wanted = append(wanted, "stage2_id")
		}
		if properties, err = s.properties(ctx, href, w.Requester); err != nil {
			return err
		}
		if s.RamdiskFromImage && !w.Installer && properties.String("boot_iso_id") != "" {
			return nil
		}
	}
	var missing []string
	for _, name := range wanted {
		if info.String(name) == "" && properties.String(name) == "" {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return store.Errorf(store.MissingParameterValue, "Image %s is missing the following properties: %s", pythonNone(href),
			strings.Join(missing, ", "))
	}
	return nil
}

// named are the parts of instance_info that count. A ramdisk may come from an image where fromImage allows that.
func (w BootWish) named(fromImage bool) (store.Dict, error) {
	given, info := w.Node.InstanceInfo, store.Dict{}
	var keys []string
	source := given.String(keyImageSource)
	switch {
	case given.String("boot_iso") != "" && source != "":
		return nil, twoSources(".")
	case given.String("boot_iso") != "":
		keys = []string{"boot_iso"}
	case w.Local:
		keys = []string{keyImageSource}
	case !w.Installer && fromImage && source != "" && given.String("kernel") == "" && given.String("ramdisk") == "":
		keys = []string{keyImageSource}
	case !w.Installer:
		keys = []string{"kernel", "ramdisk"}
	case w.Node.DriverInternalInfo.Bool(keyIsWholeDisk, false) || IsGlance(source):
		keys = []string{keyImageSource}
	default:
		keys = []string{keyImageSource, "kernel", "ramdisk"}
	}
	var missing []string
	for _, key := range keys {
		if info[key] = given[key]; given.String(key) == "" {
			missing = append(missing, "'"+key+"'")
		}
	}
	if len(missing) > 0 {
		return nil, store.Errorf(store.MissingParameterValue, "Cannot validate image information for node %s because one or more "+
			"parameters are missing from its instance_info and insufficient information is present to boot from a remote volume. "+
			"Missing are: [%s]", w.Node.UUID, strings.Join(missing, ", "))
	}
	if w.Whole {
		return given, nil
	}
	return info, nil
}

func twoSources(end string) error {
	return store.Errorf(store.InvalidParameterValue,
		"An 'image_source' and 'boot_iso' parameter may not be specified at the same time%s", end)
}

// pythonNone shows a text that is not there as Python does.
func pythonNone(s string) string {
	if s == "" {
		return "None"
	}
	return Redact(s)
}

// properties reads a Glance image's properties for a user who waits.
func (s Sources) properties(ctx context.Context, href string, who Requester) (store.Dict, error) {
	meta, err := s.AtOnce.Show(ctx, Ref{Href: href, Requester: who})
	switch store.KindOf(err) {
	case store.ImageNotFound:
		return nil, store.Errorf(store.InvalidParameterValue, "Image %s can not be found.", href)
	case store.GlanceConnectionFailed, store.ImageNotAuthorized, store.InvalidImageRef, store.ImageUnacceptable:
		return nil, store.Errorf(store.InvalidParameterValue, "Failed to connect to Glance to get the properties of the image %s",
			href)
	case store.ImageRefValidationFailed:
		return nil, store.Errorf(store.InvalidParameterValue, "%s", err.Error())
	}
	return meta.Properties, err
}

// Exists refuses an image that is not there, for a user who waits.
func (s Sources) Exists(ctx context.Context, href string, who Requester) error {
	_, err := s.properties(ctx, href, who)
	return err
}

// BootImages finds out what an instance boots. Kernel and ramdisk of a Glance image are those that its properties name, unless
// the instance names both itself. An image without them is ImageUnacceptable.
func (s Sources) BootImages(ctx context.Context, w BootWish) (BootImages, error) {
	info := w.Node.InstanceInfo
	if iso := info.String("boot_iso"); iso != "" {
		return BootImages{ISO: iso}, nil
	}
	if b := (BootImages{Kernel: info.String("kernel"), Ramdisk: info.String("ramdisk")}); b.Kernel != "" && b.Ramdisk != "" {
		return b, nil
	}
	properties, err := s.Properties(ctx, w)
	if err != nil {
		return BootImages{}, err
	}
	b := BootImages{Kernel: properties.String("kernel_id"), Ramdisk: properties.String("ramdisk_id")}
	if b.Kernel == "" || b.Ramdisk == "" {
		return b, store.Errorf(store.ImageUnacceptable, "Image %s has no kernel_id and ramdisk_id to boot node %s from, and "+
			"instance_info does not name both kernel and ramdisk", pythonNone(info.String(keyImageSource)), w.Node.UUID)
	}
	return b, nil
}

// Properties are those of an instance's image, for a flow. Only Glance images have some.
func (s Sources) Properties(ctx context.Context, w BootWish) (store.Dict, error) {
	source := w.Node.InstanceInfo.String(keyImageSource)
	if !IsGlance(source) {
		return store.Dict{}, nil
	}
	meta, err := s.Patiently.Show(ctx, Ref{Href: source, Requester: w.Requester})
	return meta.Properties, err
}
