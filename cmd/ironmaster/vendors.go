package main

import (
	"maps"
	"time"

	"github.com/rs/zerolog"

	"github.com/ironmaster/ironmaster/conductor/config"
	"github.com/ironmaster/ironmaster/drivers"
	"github.com/ironmaster/ironmaster/drivers/idrac"
	"github.com/ironmaster/ironmaster/drivers/ilo"
	"github.com/ironmaster/ironmaster/drivers/inspection"
	"github.com/ironmaster/ironmaster/drivers/ipmi"
	"github.com/ironmaster/ironmaster/drivers/irmc"
	"github.com/ironmaster/ironmaster/drivers/pxe"
	"github.com/ironmaster/ironmaster/drivers/redfish"
	"github.com/ironmaster/ironmaster/drivers/snmp"
	"github.com/ironmaster/ironmaster/messaging"
)

// vendorInterfaces are the interfaces of hardware types beside redfish, as far as a release of ironic has them.
type vendorInterfaces map[drivers.InterfaceType]map[string]drivers.Interface

func (v vendorInterfaces) add(more vendorInterfaces) {
	for typ, interfaces := range more {
		if v[typ] == nil {
			v[typ] = map[string]drivers.Interface{}
		}
		maps.Copy(v[typ], interfaces)
	}
}

// and adds more of them.
func (v vendorInterfaces) and(more vendorInterfaces) vendorInterfaces {
	v.add(more)
	return v
}

// How long iLOs take for things: one that was told to restart still answers for iloResetPause; iloCSR and iloCSRPause are for requests for
// certificates, iloFlash is how long one that was told to update firmware may be idle.
const (
	iloResetPause = 15 * time.Second
	iloCSR        = 5 * time.Minute
	iloCSRPause   = 10 * time.Second
	iloFlash      = 10 * time.Minute
)

// biosSettings is where bios interfaces keep what they read.
type biosSettings interface {
	ilo.Settings
	redfish.Records
}

// openVendors builds the interfaces of the vendors' hardware types.
func openVendors(client *redfish.Client, s *config.Settings, release messaging.Release, bios biosSettings, molds idrac.Molds,
	r ramdisks, overIPMI *ipmi.Client) vendorInterfaces {
	all := vendorInterfaces{}
	all.add(redfish.Interfaces(client, bios))
	dell := dellConfig(s)
	dell.Molds = molds
	all.add(idrac.Interfaces(client, dell, r.config, r.isos, r.publisher))
	if hasRetiredTypes(release) {
		all.add(openILO(client, s, bios, r, overIPMI))
		all.add(openIRMC(client, s, bios, r, overIPMI))
	}
	return all
}

func dellConfig(s *config.Settings) idrac.Config {
	c := idrac.DefaultConfig()
	c.BootMode, c.RAIDTimeout = s.Deploy.DefaultBootMode, s.DRAC.RAIDJobTimeout
	return c
}

// vendorInspection builds the inspect interfaces of the vendors' hardware types. plain is what the one of redfish goes by.
func vendorInspection(client *redfish.Client, s *config.Settings, release messaging.Release, plain redfish.InspectConfig,
	keep inspection.Store) vendorInterfaces {
	all := map[string]drivers.Interface{"idrac-redfish": idrac.NewInspect(client, dellConfig(s), idrac.InspectConfig{
		InspectConfig: plain, EachCard: release <= messaging.V36_0,
		MarksPorts:  release < messaging.V2025_1 || s.Inspector.UpdatePXEEnabled,
		SKUIsSerial: release >= messaging.V2026_1, Neighbours: release >= messaging.V34_0}, keep)}
	if hasRetiredTypes(release) {
		all["ilo"] = ilo.NewInspect(client, iloConfig(s), plain.Texts, keep)
	}
	return vendorInterfaces{drivers.TypeInspect: all}
}

// openIPMI builds the interfaces of the hardware type ipmi. Ironic has its web console up to 34.0, as that of HPE's types.
func openIPMI(bmcs *ipmi.Client, release messaging.Release) vendorInterfaces {
	all := vendorInterfaces(ipmi.Interfaces(bmcs))
	if release >= messaging.V2026_1 {
		delete(all[drivers.TypeConsole], "ipmitool-shellinabox")
	}
	return all
}

// openSNMP builds the interface of the hardware type snmp.
func openSNMP(s *config.Settings, release messaging.Release, log zerolog.Logger) vendorInterfaces {
	if !hasRetiredTypes(release) {
		return nil
	}
	return vendorInterfaces{drivers.TypePower: {"snmp": snmp.NewPower(snmpConfig(s), log)}}
}

// hasRetiredTypes tells whether a release has the hardware types that ironic 36.0 took out: ilo, ilo5, irmc and snmp.
func hasRetiredTypes(release messaging.Release) bool { return release <= messaging.V2026_1 }

func openILO(client *redfish.Client, s *config.Settings, bios ilo.Settings, r ramdisks, overIPMI *ipmi.Client) vendorInterfaces {
	media := r.config
	media.KernelAppendParams = s.ILO.KernelAppendParams
	cfg := iloConfig(s)
	cfg.Sensing = ilo.NewSensing(overIPMI)
	return ilo.Interfaces(client, cfg, bios, media, r.isos, r.publisher)
}

// openILOConsole builds the console of HPE's hardware types, which ironic has had up to 34.0.
func openILOConsole(client *redfish.Client, bmcs *ipmi.Client, s *config.Settings, release messaging.Release) vendorInterfaces {
	if release >= messaging.V2026_1 {
		return nil
	}
	return vendorInterfaces{drivers.TypeConsole: {"ilo": ilo.NewConsole(client, bmcs, iloConfig(s))}}
}

func iloConfig(s *config.Settings) ilo.Config {
	return ilo.Config{
		Port: s.ILO.ClientPort, Timeout: s.ILO.ClientTimeout, CAFile: s.ILO.CAFile,
		VerifyCA:        redfish.Verify{Off: !s.ILO.VerifyCA.Enabled, Path: s.ILO.VerifyCA.CAFile},
		DefaultBootMode: s.ILO.DefaultBootMode, PowerWait: s.ILO.PowerWait, PowerTimeout: s.Conductor.SoftPowerOffTimeout,
		ResetPause: iloResetPause, CSRTimeout: iloCSR, CSRPause: iloCSRPause, FlashTimeout: iloFlash,
		CertPath: s.ILO.CertPath, WebserverCA: s.Default.WebserverVerifyCA.CAFile,
		Priorities: map[string]int{
			"reset_ilo": s.ILO.ResetILO, "reset_bios_to_default": s.ILO.ResetBIOSToDefault,
			"reset_secure_boot_keys_to_default": s.ILO.ResetSecureBootKeys,
			"clear_secure_boot_keys":            s.ILO.ClearSecureBootKeys, "reset_ilo_credential": s.ILO.ResetILOCredential,
		},
	}
}

// likeOf tells which boot interface a vendor's one over the network is like.
var likeOf = map[string]string{"ilo-pxe": "pxe", "ilo-ipxe": "ipxe", "irmc-pxe": "pxe"}

// vendorBoots are the vendors' boot interfaces over the network. irmc-pxe is pxe itself: what it does more in ironic is saving the BIOS
// settings, which nothing here brings back.
func vendorBoots(client *redfish.Client, s *config.Settings, over pxe.Interfaces) map[string]networkBooter {
	return map[string]networkBooter{
		"ilo-pxe": ilo.NewNetworkBoot(client, iloConfig(s), over.PXE), "ilo-ipxe": ilo.NewNetworkBoot(client, iloConfig(s), over.IPXE),
		"irmc-pxe": over.PXE,
	}
}

func openIRMC(client *redfish.Client, s *config.Settings, bios irmc.Settings, r ramdisks, overIPMI *ipmi.Client) vendorInterfaces {
	media := r.config
	media.KernelAppendParams = s.IRMC.KernelAppendParams
	ca := s.Default.WebserverVerifyCA
	return irmc.Interfaces(client, irmc.Config{Port: s.IRMC.Port, Timeout: s.IRMC.ClientTimeout, AuthMethod: s.IRMC.AuthMethod,
		SensorMethod: s.IRMC.SensorMethod, VerifyCA: redfish.Verify{Off: !ca.Enabled, Path: ca.CAFile},
		BootMode: s.Deploy.DefaultBootMode, Sensing: irmc.NewSensing(overIPMI), SNMP: irmc.SNMP{Version: s.IRMC.SNMPVersion, Port: s.IRMC.SNMPPort,
			Community: s.IRMC.SNMPCommunity, Security: s.IRMC.SNMPSecurity}}, bios, media, r.isos, r.publisher)
}
