package image

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/ironmaster/ironmaster/store"
)

const (
	// configDriveLabel is how cloud-init finds a config drive.
	configDriveLabel = "config-2"
	// maxConfigDrive is the size of the partition that the agent writes, in bytes.
	maxConfigDrive = 64 * MiB
)

// configDriveVersions are the metadata versions that OpenStack's builder writes.
var configDriveVersions = []string{"2012-08-10", "latest"}

// ConfigDriveNode is what a config drive says of a node when the user does not.
type ConfigDriveNode struct{ UUID, Name string }

// ConfigDriveNodeOf is what config drives say of n.
func ConfigDriveNodeOf(n *store.Node) ConfigDriveNode {
	named := ConfigDriveNode{UUID: n.UUID}
	if n.Name != nil {
		named.Name = *n.Name
	}
	return named
}

// ConfigDrive returns an instance's config drive as the agent takes it: a URL as it is, or the base64 of a gzipped ISO.
// value is instance_info.configdrive in any of ironic's forms: such a text, a URL, or an object with meta_data,
// network_data, user_data and vendor_data, which is built here. "" stands for none. What is malformed is
// InvalidParameterValue; contents never appear in the error.
func ConfigDrive(node ConfigDriveNode, value any) (string, error) {
	switch v := value.(type) {
	case nil:
		return "", nil
	case string:
		if v == "" || IsConfigDriveURL(v) {
			return v, nil
		}
		_, err := DecodeConfigDrive(v)
		return v, err
	case store.Dict:
		return buildConfigDrive(node, v)
	case map[string]any:
		return buildConfigDrive(node, v)
	}
	return "", configDriveInvalid("it must be a text, a URL or an object")
}

// IsConfigDriveURL reports whether a config drive is to be fetched by the agent.
func IsConfigDriveURL(value string) bool {
	return strings.HasPrefix(value, "http://") || strings.HasPrefix(value, "https://")
}

// IsConfigDriveLabel reports whether a file system of a label is a config drive.
func IsConfigDriveLabel(label string) bool { return strings.EqualFold(label, configDriveLabel) }

func configDriveInvalid(format string, args ...any) error {
	reason := store.Errorf(store.InvalidParameterValue, format, args...)
	return store.Errorf(store.InvalidParameterValue, "Invalid parameter instance_info.configdrive: %w", reason)
}

// DecodeConfigDrive unpacks base64 of a gzipped image, for publishing it to virtual media.
func DecodeConfigDrive(text string) ([]byte, error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, configDriveInvalid("it is neither a URL nor base64")
	}
	unzip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, configDriveInvalid("the decoded contents are not gzip")
	}
	image, err := io.ReadAll(io.LimitReader(unzip, maxConfigDrive+1))
	if err != nil {
		return nil, configDriveInvalid("the gzip contents are damaged")
	}
	if len(image) > maxConfigDrive {
		return nil, configDriveInvalid("it unpacks to more than %d MiB", maxConfigDrive/MiB)
	}
	return image, nil
}

func buildConfigDrive(node ConfigDriveNode, parts store.Dict) (string, error) {
	files, err := configDriveFiles(node, parts)
	if err != nil {
		return "", err
	}
	image, err := configDriveISO(files)
	if err != nil {
		return "", store.Errorf(store.ImageCreationFailed, "Creating iso image failed: %w", err)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(image); err != nil {
		return "", fmt.Errorf("packing a config drive: %w", err)
	}
	if err := zip.Close(); err != nil {
		return "", fmt.Errorf("packing a config drive: %w", err)
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

// configDriveFiles lays out the object's parts as files of one metadata version.
func configDriveFiles(node ConfigDriveNode, parts store.Dict) (map[string][]byte, error) {
	for key := range parts {
		switch key {
		case "meta_data", "network_data", "user_data", "vendor_data":
		default:
			return nil, configDriveInvalid("unknown key %q", key)
		}
	}
	meta, err := objectPart(parts, "meta_data")
	if err != nil {
		return nil, err
	}
	meta = meta.Clone()
	if meta == nil {
		meta = store.Dict{}
	}
	if _, set := meta["uuid"]; !set {
		meta["uuid"] = node.UUID
	}
	if _, set := meta["name"]; !set && node.Name != "" {
		meta["name"] = node.Name
	}
	files := map[string][]byte{}
	if files["meta_data.json"], err = json.Marshal(meta); err != nil {
		return nil, configDriveInvalid("meta_data cannot be written as JSON")
	}
	for key, name := range map[string]string{"network_data": "network_data.json", "vendor_data": "vendor_data2.json"} {
		part, err := objectPart(parts, key)
		if err != nil {
			return nil, err
		}
		if len(part) == 0 {
			continue
		}
		if files[name], err = json.Marshal(part); err != nil {
			return nil, configDriveInvalid("%s cannot be written as JSON", key)
		}
	}
	user, err := userData(parts["user_data"])
	if err != nil {
		return nil, err
	}
	if len(user) > 0 {
		files["user_data"] = user
	}
	return files, nil
}

func objectPart(parts store.Dict, key string) (store.Dict, error) {
	if parts[key] == nil {
		return nil, nil
	}
	part := parts.Dict(key)
	if part == nil {
		return nil, configDriveInvalid("%s must be an object", key)
	}
	return part, nil
}

// userData takes a text as it is and writes objects and arrays as JSON.
func userData(value any) ([]byte, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		return []byte(v), nil
	case store.Dict, map[string]any, []any:
		text, err := json.Marshal(v)
		if err != nil {
			return nil, configDriveInvalid("user_data cannot be written as JSON")
		}
		return text, nil
	}
	return nil, configDriveInvalid("user_data must be a text, an object or an array")
}

// configDriveISO writes the files once per metadata version into an ISO image.
func configDriveISO(files map[string][]byte) ([]byte, error) {
	tree := map[string][]byte{}
	for _, version := range configDriveVersions {
		for name, content := range files {
			tree["openstack/"+version+"/"+name] = content
		}
	}
	image, err := buildISO(configDriveLabel, tree, time.Now())
	if err != nil {
		return nil, err
	}
	if len(image) > maxConfigDrive {
		return nil, fmt.Errorf("the config drive is larger than %d MiB", maxConfigDrive/MiB)
	}
	return image, nil
}
