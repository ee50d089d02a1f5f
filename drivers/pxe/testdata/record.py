#!/usr/bin/python3
"""Records what a Python conductor writes for one node: files, links, and DHCP options, by boot interface and boot mode.

Run where the release is installed: /usr/bin/python3 record.py > VERSION.json. A debootstrap folder of it will do, in chroot.
"""
import json
import os
import sys
import tempfile
from unittest import mock

from oslo_log import log

from ironic.common import dhcp_factory
from ironic.common import pxe_utils
from ironic.conf import CONF
from ironic.drivers.modules import ipxe, pxe

NODE = "1be26c0b-03f2-4d2e-ae87-c02d7f33c123"
log.register_options(CONF)
CONF([], project="ironic", default_config_files=[])


class Provider:
    def __init__(self):
        self.options = []

    def update_dhcp(self, task, options, ports=None):
        self.options = options

    def supports_ipxe_tag(self):
        return True

    def get_ip_addresses(self, task):
        return ["10.0.0.7"]

    @property
    def provider(self):
        return self


def listing(root):
    found = {}
    for top, _, names in os.walk(root):
        for name in names:
            path = os.path.join(top, name)
            rel = os.path.relpath(path, root)
            if os.path.islink(path):
                found[rel] = "-> " + os.readlink(path)
            elif rel == NODE + "/config":
                with open(path) as f:
                    found[rel] = f.read()
            else:
                found[rel] = ""
    return found


def record(interface, mode):
    root = tempfile.mkdtemp()
    tftp, http = os.path.join(root, "tftpboot"), os.path.join(root, "httpboot")
    os.mkdir(tftp)
    os.mkdir(http)
    CONF.set_override("tftp_root", tftp, "pxe")
    CONF.set_override("tftp_server", "192.0.2.1", "pxe")
    CONF.set_override("http_root", http, "deploy")
    CONF.set_override("http_url", "http://192.0.2.1:8080", "deploy")
    CONF.set_override("default_boot_mode", mode, "deploy")
    node = mock.Mock(uuid=NODE, provision_state="deploying", properties={}, instance_info={}, driver_internal_info={},
                     driver_info={"deploy_kernel": "http://images/kernel", "deploy_ramdisk": "http://images/ramdisk"})
    node.get_interface = lambda name: "direct"
    port = mock.Mock(address="52:54:00:aa:bb:01", extra={}, pxe_enabled=True)
    boot = interface()
    task = mock.Mock(node=node, ports=[port], portgroups=[])
    task.driver.boot = boot
    task.context.global_id = None
    provider = Provider()

    def fetch(ctx, cache, images, *args, **kwargs):
        for _, path in images:
            open(path, "w").close()

    devices = []
    with mock.patch.object(dhcp_factory, "DHCPFactory", return_value=provider), \
            mock.patch("ironic.drivers.modules.deploy_utils.fetch_images", fetch), \
            mock.patch("ironic.drivers.modules.boot_mode_utils.sync_boot_mode"), \
            mock.patch.object(pxe_utils, "TFTPImageCache"), \
            mock.patch("ironic.conductor.utils.node_set_boot_device",
                       lambda task, device, persistent=False: devices.append([device, persistent])):
        boot.prepare_ramdisk(task, {"ipa-api-url": "http://api:6385"})
    return {"tftp": listing(tftp), "http": listing(http), "device": devices,
            "dhcp": [[o["opt_name"], o["opt_value"].replace(root, ""), o["ip_version"]] for o in provider.options]}


interfaces = {"pxe": pxe.PXEBoot, "ipxe": ipxe.iPXEBoot}
if hasattr(pxe, "HttpBoot"):
    interfaces.update({"http": pxe.HttpBoot, "http-ipxe": ipxe.iPXEHttpBoot})
json.dump({name + " " + mode: record(interface, mode) for name, interface in interfaces.items() for mode in ("bios", "uefi")},
          sys.stdout, indent=1, sort_keys=True)
print()
