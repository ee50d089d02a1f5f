package agent

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/ironmaster/ironmaster/store"
)

const (
	configDriveLabel = "config-2"
	isoBlock         = 2048
)

// configDriveVersions are the directories that cloud-init and its like look into; each holds the same.
var configDriveVersions = []string{"2012-08-10", "latest"}

// buildConfigDrive makes a config drive of its parts (meta_data, user_data, network_data, vendor_data): an ISO 9660 file
// system, compressed by gzip, in base64. The node's UUID and name stand in where meta_data does not name them.
func buildConfigDrive(n *store.Node, parts store.Dict) (string, error) {
	files, err := configDriveFiles(n, parts)
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "ironmaster-configdrive-")
	if err != nil {
		return "", fmt.Errorf("building the config drive of node %s: %w", n.UUID, err)
	}
	defer os.RemoveAll(dir)
	iso := path.Join(dir, "config.iso")
	if err := writeISO(iso, path.Join(dir, "tree"), files); err != nil {
		return "", fmt.Errorf("building the config drive of node %s: %w", n.UUID, err)
	}
	content, err := os.ReadFile(iso)
	if err != nil {
		return "", fmt.Errorf("building the config drive of node %s: %w", n.UUID, err)
	}
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	if _, err := zip.Write(content); err != nil {
		return "", fmt.Errorf("compressing the config drive of node %s: %w", n.UUID, err)
	}
	if err := zip.Close(); err != nil {
		return "", fmt.Errorf("compressing the config drive of node %s: %w", n.UUID, err)
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

// configDriveFiles returns the files of one version's directory.
func configDriveFiles(n *store.Node, parts store.Dict) (map[string][]byte, error) {
	meta := store.Dict{"uuid": n.UUID}
	if n.Name != nil && *n.Name != "" {
		meta["name"] = *n.Name
	}
	maps.Copy(meta, parts.Dict("meta_data"))
	files := map[string][]byte{}
	for name, content := range map[string]any{"meta_data.json": meta, "network_data.json": parts["network_data"],
		"vendor_data2.json": parts["vendor_data"]} {
		if empty(content) {
			continue
		}
		text, err := store.AppendJSON(nil, content)
		if err != nil {
			return nil, fmt.Errorf("encoding %s of the config drive of node %s: %w", name, n.UUID, err)
		}
		files[name] = text
	}
	switch user := parts["user_data"].(type) {
	case nil:
	case string:
		if user != "" {
			files["user_data"] = []byte(user)
		}
	default:
		text, err := store.AppendJSON(nil, user)
		if err != nil {
			return nil, fmt.Errorf("encoding user_data of the config drive of node %s: %w", n.UUID, err)
		}
		files["user_data"] = text
	}
	return files, nil
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case store.Dict:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// writeISO writes the files below openstack/ for every version.
func writeISO(target, workspace string, files map[string][]byte) (err error) {
	size := int64(1 << 20)
	for _, content := range files {
		size += int64(len(configDriveVersions)) * (int64(len(content)) + isoBlock)
	}
	size -= size % isoBlock
	if err := os.Mkdir(workspace, 0o755); err != nil {
		return err
	}
	disk, err := file.CreateFromPath(target, size)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	tree, err := iso9660.Create(disk, size, 0, isoBlock, workspace)
	if err != nil {
		return err
	}
	for _, version := range configDriveVersions {
		if err := fillVersion(tree, path.Join("openstack", version), files); err != nil {
			return err
		}
	}
	return tree.Finalize(iso9660.FinalizeOptions{RockRidge: true, Joliet: true, VolumeIdentifier: configDriveLabel,
		PublisherIdentifier: "ironmaster"})
}

func fillVersion(tree filesystem.FileSystem, dir string, files map[string][]byte) error {
	if err := tree.Mkdir(dir); err != nil {
		return err
	}
	for name, content := range files {
		f, err := tree.OpenFile(path.Join(dir, name), os.O_CREATE|os.O_RDWR)
		if err != nil {
			return err
		}
		_, err = f.Write(content)
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
