package agent

import (
	"context"
	"fmt"

	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/store"
)

// journalOriginal is the key under which this worker remembers what a user said of an image that it converted.
const journalOriginal = "agent.image_original"

// keyOriginal is the same in driver_internal_info, for as long as the flow lasts: another worker may have to go on with it.
const keyOriginal = "ironmaster_original"

// original is what instance_info said of an image before the conversion's format and digest took the place of it. Ironic
// forgets it, so that the next attempt compares the source with the digest of the converted file and fails.
type original struct {
	Source    string
	Format    string
	Checksum  any
	HashAlgo  any
	HashValue any
	// Converted is the digest that was written instead; as long as it stands there, the rest is still true.
	Converted string
}

func (o original) dict() store.Dict {
	return store.Dict{"source": o.Source, "format": o.Format, "checksum": o.Checksum, "hash_algo": o.HashAlgo,
		"hash_value": o.HashValue, "converted": o.Converted}
}

func originalOf(d store.Dict) original {
	return original{Source: d.String("source"), Format: d.String("format"), Checksum: d["checksum"], HashAlgo: d["hash_algo"],
		HashValue: d["hash_value"], Converted: d.String("converted")}
}

func rememberOriginal(ctx context.Context, t *drivers.Task, info store.Dict, format, converted string) error {
	o := original{Source: info.String("image_source"), Format: format, Checksum: info["image_checksum"],
		HashAlgo: info["image_os_hash_algo"], HashValue: info["image_os_hash_value"], Converted: converted}
	if err := t.Worker.Journal(t).Put(ctx, journalOriginal, o); err != nil {
		return fmt.Errorf("remembering what the image was before its conversion: %w", err)
	}
	internalInfo(t.Node)[keyOriginal] = o.dict()
	return nil
}

// restoreOriginal undoes for info what an earlier attempt of the same deployment wrote.
func restoreOriginal(ctx context.Context, t *drivers.Task, info store.Dict) error {
	var o original
	found, err := t.Worker.Journal(t).Get(ctx, journalOriginal, &o)
	if err != nil {
		return fmt.Errorf("looking up what the image was before its conversion: %w", err)
	}
	if row := t.Node.DriverInternalInfo.Dict(keyOriginal); row != nil {
		o, found = originalOf(row), true
	}
	if !found || o.Source != info.String("image_source") || o.Converted != info.String("image_os_hash_value") {
		return nil
	}
	info["image_checksum"], info["image_os_hash_algo"], info["image_os_hash_value"] = o.Checksum, o.HashAlgo, o.HashValue
	if o.Format == "" {
		delete(info, "image_disk_format")
	} else {
		info["image_disk_format"] = o.Format
	}
	return nil
}
