package image

import (
	"encoding/json"
	"testing"

	"github.com/ironmaster/ironmaster/store"
)

func TestValidateRootOnly(t *testing.T) {
	tests := []struct {
		name     string
		kind     Kind
		instance store.Dict
		refused  string // part of the error, "" when accepted
	}{
		{"nothing set", WholeDisk, store.Dict{"root_gb": 10}, ""},
		{"zeros", WholeDisk, store.Dict{"swap_mb": json.Number("0"), "ephemeral_gb": "0"}, ""},
		{"nulls", WholeDisk, store.Dict{"swap_mb": nil, "ephemeral_gb": nil}, ""},
		{"swap number", WholeDisk, store.Dict{"swap_mb": json.Number("512")}, "instance_info.swap_mb must be 0"},
		{"swap int", WholeDisk, store.Dict{"swap_mb": 1}, "instance_info.swap_mb"},
		{"ephemeral text", WholeDisk, store.Dict{"ephemeral_gb": "20"}, "instance_info.ephemeral_gb must be 0"},
		{"both", WholeDisk, store.Dict{"swap_mb": "1", "ephemeral_gb": 1}, "instance_info.swap_mb and instance_info.ephemeral_gb"},
		{"nonsense", WholeDisk, store.Dict{"swap_mb": "lots"}, "Invalid parameter instance_info.swap_mb"},
		{"partition may have both", Partition, store.Dict{"swap_mb": 1, "ephemeral_gb": 1}, ""},
		{"undecided counts as partition", "", store.Dict{"swap_mb": 1}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newTestService(t, testConfig(t, nil))
			err := s.ValidateRootOnly(tt.kind, tt.instance)
			if tt.refused == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			wantKind(t, err, store.InvalidParameterValue, tt.refused)
		})
	}
	cfg := testConfig(t, nil)
	cfg.WholeDiskRootOnly = false
	if err := newTestService(t, cfg).ValidateRootOnly(WholeDisk, store.Dict{"swap_mb": 1}); err != nil {
		t.Errorf("switched off, yet refused: %v", err)
	}
}
