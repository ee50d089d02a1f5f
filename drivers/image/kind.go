package image

import (
	"context"
	"fmt"
	"strings"

	"github.com/ironmaster/ironmaster/store"
)

// Kind is what an image contains: a whole disk with its partition table, or one partition's file system.
type Kind string

// The kinds of images, spelled as instance_info.image_type.
const (
	WholeDisk Kind = "whole-disk"
	Partition Kind = "partition"
)

// Keys of instance_info and driver_internal_info that hold the answer.
const (
	keyImageSource  = "image_source"
	keyImageType    = "image_type"
	keyIsWholeDisk  = "is_whole_disk_image"
	keySourceIsPath = "is_source_a_path"
)

// Decision is the answer to whether an image is a whole disk, with its reason for people.
type Decision struct {
	// Kind is empty when nothing could be decided; what the node has recorded so far then stays.
	Kind Kind
	// SourceIsPath tells that image_source is a directory tree, as the anaconda interface uses, and no image.
	SourceIsPath bool
	// Reason says in a sentence which rule decided.
	Reason string
}

// Kind decides whether the image of an instance is a whole disk or a partition. It is the only place that does; the rules
// and their order are ironic's (reference/deploy.md §1).
//
// Only an image_source that no service can read is an error (ImageRefValidationFailed): an image that cannot be read at
// the moment leaves the decision open, and validation reports it.
func (s *Service) Kind(ctx context.Context, instance store.Dict, who Requester) (Decision, error) {
	href := instance.String(keyImageSource)
	if href == "" {
		return Decision{Reason: "instance_info has no image_source"}, nil
	}
	if declared := instance.String(keyImageType); declared != "" {
		return Decision{
			Kind:   kindNamed(declared),
			Reason: fmt.Sprintf("instance_info.image_type is %q", declared),
		}, nil
	}
	ref := Ref{Href: href, Requester: who}
	if IsGlance(href) {
		return s.glanceKind(ctx, ref), nil
	}
	if strings.HasPrefix(href, "oci://") {
		return Decision{Kind: WholeDisk, Reason: "an image in a registry brings its own disk"}, nil
	}
	if _, err := ParseOrigin(href); err != nil {
		return Decision{}, err
	}
	if reason := s.pathReason(ctx, ref); reason != "" {
		return Decision{SourceIsPath: true, Reason: reason}, nil
	}
	return kindByBootFiles(instance), nil
}

// kindNamed reads an image type as ironic does here: whatever is not a partition is a whole disk. Deploy validation
// accepts the two proper names only.
func kindNamed(name string) Kind {
	if name == string(Partition) {
		return Partition
	}
	return WholeDisk
}

func (s *Service) glanceKind(ctx context.Context, ref Ref) Decision {
	meta, err := s.glance.Show(ctx, ref)
	if err != nil {
		return Decision{Reason: fmt.Sprintf("the metadata of the Glance image could not be read: %v", err)}
	}
	if declared := meta.Properties.String("img_type"); declared != "" {
		return Decision{Kind: kindNamed(declared), Reason: fmt.Sprintf("the Glance property img_type is %q", declared)}
	}
	var present []string
	for _, key := range []string{"kernel_id", "ramdisk_id"} {
		if meta.Properties.String(key) != "" {
			present = append(present, key)
		}
	}
	if len(present) == 0 {
		return Decision{Kind: WholeDisk, Reason: "the Glance image has neither kernel_id nor ramdisk_id"}
	}
	return Decision{Kind: Partition, Reason: "the Glance image has " + strings.Join(present, " and ")}
}

// pathReason tells why ref is a directory rather than an image, "" when it seems to be an image.
func (s *Service) pathReason(ctx context.Context, ref Ref) string {
	if origin, _ := ParseOrigin(ref.Href); origin != OriginHTTP {
		return ""
	}
	resp, err := s.web.head(ctx, ref.Href)
	if err != nil {
		// ironic takes an unreachable source for an image: the download will tell what is wrong.
		return ""
	}
	if target := redirectedTo(ref.Href, resp); strings.HasSuffix(target, "/") {
		return "image_source redirects to a URL with a trailing slash, which is a directory"
	}
	contentType := resp.Header.Get("Content-Type")
	switch {
	case strings.HasPrefix(contentType, "text/html"):
		return "the web server answers with text/html, which is a directory listing"
	case contentType != "" && resp.Header.Get("Content-Length") != "":
		return ""
	case strings.HasSuffix(ref.Href, "/"):
		return "image_source ends with a slash, which is a directory"
	}
	return ""
}

func kindByBootFiles(instance store.Dict) Decision {
	var present []string
	for _, key := range []string{"kernel", "ramdisk"} {
		if instance.String(key) != "" {
			present = append(present, key)
		}
	}
	if len(present) == 0 {
		return Decision{Kind: WholeDisk, Reason: "instance_info has neither kernel nor ramdisk"}
	}
	return Decision{Kind: Partition, Reason: "instance_info has " + strings.Join(present, " and ")}
}

// Apply records the decision where ironic does: image_type in instance_info, is_whole_disk_image or is_source_a_path in
// driver_internal_info. It reports whether anything was written. As in ironic an undecided kind keeps the old values,
// and because image_type is what the next decision reads first, a rebuild with another image keeps the type unless the
// caller removes it.
func (d Decision) Apply(instance, internal store.Dict) bool {
	switch {
	case d.Kind != "":
		internal[keyIsWholeDisk] = d.Kind == WholeDisk
		instance[keyImageType] = string(d.Kind)
	case d.SourceIsPath:
		internal[keySourceIsPath] = true
	default:
		return false
	}
	return true
}

// ValidateType refuses an instance_info.image_type that is neither of the two kinds.
func ValidateType(instance store.Dict) error {
	switch name := instance.String(keyImageType); name {
	case "", string(WholeDisk), string(Partition):
		return nil
	default:
		return store.Errorf(store.InvalidParameterValue, `Invalid image_type "%s", valid are partition, whole-disk`, name)
	}
}
