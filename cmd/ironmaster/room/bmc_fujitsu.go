package room

// fujitsuFace is an iRMC S5: the system is called 0, the BMC iRMC.
func fujitsuFace() *face {
	return &face{
		vendor: "fujitsu", driver: "irmc", keys: "irmc_", manufacturer: "FUJITSU", model: "PRIMERGY RX2540 M5", controller: "iRMC S5",
		firmware: "3.37P", systemID: "0", managerID: "iRMC", chassisID: "0",
		media: map[string]string{mediaCD: "0", mediaFloppy: "1"},
		system: func(_ *bmc, s *state, resource document) {
			status := "Off"
			if s.powered {
				status = "OS Running"
			}
			resource["Oem"] = document{"ts_fujitsu": document{"PowerOnCounter": s.starts, "BootStatus": status}}
		},
	}
}
