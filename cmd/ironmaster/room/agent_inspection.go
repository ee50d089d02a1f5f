package room

import (
	"context"
	"fmt"
	"net/http"
)

// inspect tells ironic what is in the machine, until it takes that, as ironic-python-agent does before it looks its node up. It returns
// false when ctx ended first.
func (a *agent) inspect(ctx context.Context) bool {
	for wait := lookupPause; ; wait = min(2*wait, maxLookupPause) {
		err := a.call(ctx, http.MethodPost, a.tells, "", a.findings(), http.StatusAccepted, nil)
		if err == nil {
			a.log.Debug().Msg("the agent has told what it found")
			return true
		}
		if ctx.Err() == nil {
			a.log.Debug().Err(err).Msg("telling what was found")
		}
		if !pause(ctx, wait) {
			return false
		}
	}
}

// findings are an inventory as ironic-python-agent makes one. The machine has booted from its first network card.
func (a *agent) findings() map[string]any {
	info := a.m.info
	cards := []any{map[string]any{"name": "lo", "mac_address": "00:00:00:00:00:00", "ipv4_address": "127.0.0.1"}}
	for i, mac := range info.MACs {
		cards = append(cards, map[string]any{"name": fmt.Sprintf("eno%d", i+1), "mac_address": mac, "has_carrier": true,
			"ipv4_address": fmt.Sprintf("192.0.2.%d", 10+i), "ipv6_address": fmt.Sprintf("fe80::%d%%eno%d", 1+i, 1+i)})
	}
	disk := map[string]any{"name": "/dev/sda", "size": info.DiskSize, "rotational": false}
	return map[string]any{
		"inventory": map[string]any{
			"interfaces":    cards,
			"cpu":           map[string]any{"model_name": "Room CPU", "frequency": "2400", "count": 8, "architecture": "x86_64", "flags": []any{"vmx", "aes"}},
			"memory":        map[string]any{"total": int64(info.MemoryMB) << 20, "physical_mb": info.MemoryMB},
			"disks":         []any{disk},
			"boot":          map[string]any{"current_boot_mode": "uefi", "pxe_interface": info.MACs[0]},
			"system_vendor": map[string]any{"product_name": "Room", "manufacturer": "Ironmaster"},
			"bmc_address":   "0.0.0.0",
			"bmc_v6address": "::/0",
		},
		"root_disk":      disk,
		"boot_interface": info.MACs[0],
	}
}
