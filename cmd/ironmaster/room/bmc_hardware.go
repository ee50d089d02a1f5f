package room

import (
	"net/http"
	"slices"
	"strings"
)

// What is inside the machine: resources that inspection reads.

func ethernetInterfaces(b *bmc, r *http.Request) document {
	var members []string
	for _, mac := range b.m.info.MACs {
		members = append(members, b.systemPath()+"/EthernetInterfaces/"+nicID(mac))
	}
	return collection(r.URL.Path, "EthernetInterface", "Ethernet Interfaces", members...)
}

func nicID(mac string) string { return "nic-" + strings.ReplaceAll(mac, ":", "") }

func ethernetInterface(b *bmc, r *http.Request) document {
	id := r.PathValue("nic")
	i := slices.IndexFunc(b.m.info.MACs, func(mac string) bool { return nicID(mac) == id })
	if i < 0 {
		return nil
	}
	mac := strings.ToUpper(b.m.info.MACs[i])
	return document{
		"@odata.id":           r.URL.Path,
		"@odata.type":         "#EthernetInterface.v1_5_1.EthernetInterface",
		"Id":                  id,
		"Name":                "Ethernet Interface",
		"Status":              healthy(),
		"InterfaceEnabled":    true,
		"LinkStatus":          "LinkUp",
		"MACAddress":          mac,
		"PermanentMACAddress": mac,
		"SpeedMbps":           10000,
	}
}

func processor(_ *bmc, r *http.Request) document {
	return document{
		"@odata.id":             r.URL.Path,
		"@odata.type":           "#Processor.v1_8_0.Processor",
		"Id":                    "CPU1",
		"Name":                  "Processor",
		"Socket":                "CPU 1",
		"ProcessorType":         "CPU",
		"ProcessorArchitecture": "x86",
		"InstructionSet":        "x86-64",
		"Manufacturer":          "Ironmaster",
		"Model":                 "Room CPU",
		"MaxSpeedMHz":           2400,
		"TotalCores":            4,
		"TotalThreads":          8,
		"Status":                healthy(),
	}
}

func memory(b *bmc, r *http.Request) document {
	return document{
		"@odata.id":        r.URL.Path,
		"@odata.type":      "#Memory.v1_9_0.Memory",
		"Id":               "DIMM1",
		"Name":             "DIMM 1",
		"MemoryType":       "DRAM",
		"MemoryDeviceType": "DDR5",
		"CapacityMiB":      b.m.info.MemoryMB,
		"Status":           healthy(),
	}
}

func storage(b *bmc, r *http.Request) document {
	resource := document{
		"@odata.id":          r.URL.Path,
		"@odata.type":        "#Storage.v1_8_0.Storage",
		"Id":                 "1",
		"Name":               "Storage",
		"Status":             healthy(),
		"Drives":             links(b.systemPath() + "/Storage/1/Drives/1"),
		"Drives@odata.count": 1,
		"Volumes":            link(b.volumesPath()),
	}
	if b.face.vendor == vendorDell {
		resource["Controllers"] = link(b.controllersPath())
	}
	return resource
}

func drive(b *bmc, r *http.Request) document {
	s := b.m.view()
	return s.lampProperties(indicatorDrive, document{
		"@odata.id":     r.URL.Path,
		"@odata.type":   "#Drive.v1_11_0.Drive",
		"Id":            "1",
		"Name":          "Drive 1",
		"Status":        healthy(),
		"CapacityBytes": b.m.info.DiskSize,
		"MediaType":     "SSD",
		"Protocol":      "NVMe",
	})
}

func patchDrive(b *bmc, _ *http.Request, body document) *redfishError {
	return patchIndicator(b, indicatorDrive, body)
}
