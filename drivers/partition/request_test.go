package partition

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

// The texts are ironic's, where ironic has one.
func TestParseRequest(t *testing.T) {
	for name, c := range map[string]struct {
		info store.Dict
		kind store.Kind
		text string
	}{
		"root only":       {store.Dict{"root_gb": json.Number("10")}, "", ""},
		"text":            {store.Dict{"root_gb": "10", "swap_mb": "512", "ephemeral_gb": "0"}, "", ""},
		"nulls":           {store.Dict{"root_gb": 10, "swap_mb": nil, "ephemeral_gb": nil, "ephemeral_format": nil}, "", ""},
		"no root":         {store.Dict{"swap_mb": 1}, store.MissingParameterValue, "Some parameters were missing in node's instance_info. Missing are: ['root_gb']"},
		"root of nothing": {store.Dict{"root_gb": 0}, store.MissingParameterValue, "['root_gb']"},
		"root no number":  {store.Dict{"root_gb": "ten"}, store.InvalidParameterValue, "Invalid parameter root_gb: ten is not an integer value."},
		"root negative":   {store.Dict{"root_gb": -10}, store.InvalidParameterValue, "Invalid parameter root_gb: -10 is negative."},
		"swap no number":  {store.Dict{"root_gb": 1, "swap_mb": "much"}, store.InvalidParameterValue, "Invalid parameter swap_mb: much is not an integer value."},
		"swap negative":   {store.Dict{"root_gb": 1, "swap_mb": "-1"}, store.InvalidParameterValue, "Invalid parameter swap_mb: -1 is negative."},
		"absurd":          {store.Dict{"root_gb": 1, "ephemeral_gb": int64(1) << 50}, store.InvalidParameterValue, "Invalid parameter ephemeral_gb: 1125899906842624 is more than a disk can have."},
		"preserve":        {store.Dict{"root_gb": 1, "preserve_ephemeral": "perhaps"}, store.InvalidParameterValue, "Invalid parameter preserve_ephemeral: Unrecognized value 'perhaps'"},
		"format":          {store.Dict{"root_gb": 1, "ephemeral_format": "ext4 /dev/sda"}, store.InvalidParameterValue, "Invalid parameter ephemeral_format:"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseRequest(c.info)
			if store.KindOf(err) != c.kind || err != nil && !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v, want %s %q", err, c.kind, c.text)
			}
		})
	}
}

func TestARebuildThatKeepsTheEphemeralPartitionKeepsTheLayout(t *testing.T) {
	internal := store.Dict{}
	deployed := Request{RootGB: 10, SwapMB: 64, EphemeralGB: 2}
	deployed.Remember(internal)
	text, err := json.Marshal(internal)
	if err == nil {
		internal, err = store.ParseDict(text)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		wanted Request
		text   string
	}{
		"the same":            {Request{RootGB: 10, SwapMB: 64, EphemeralGB: 2, PreserveEphemeral: true}, ""},
		"other, not preserve": {Request{RootGB: 11}, ""},
		"more swap": {Request{RootGB: 10, SwapMB: 65, EphemeralGB: 2, PreserveEphemeral: true},
			"The following parameters have different values from previous deployment: Deployed value of swap_mb was 64 but requested value is 65."},
	} {
		err := c.wanted.CheckUnchanged(internal)
		if c.text == "" && err != nil || c.text != "" && (store.KindOf(err) != store.InvalidParameterValue || err.Error() != c.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (Request{RootGB: 1, PreserveEphemeral: true}).CheckUnchanged(nil); err != nil {
		t.Errorf("a node without a deployment: %v", err)
	}
}

func TestAnImageMustFitTheRoot(t *testing.T) {
	r := Request{RootGB: 1}
	if err := r.CheckImage(1024 * MiB); err != nil {
		t.Error(err)
	}
	want := "Root partition is too small for requested image. Image virtual size: 1025 MB, Root size: 1024 MB"
	if err := r.CheckImage(1024*MiB + 1); store.KindOf(err) != store.InstanceDeployFailure || err.Error() != want {
		t.Error(err)
	}
}
