"""The extension "iscsi" for ironic-python-agent, which had one of its own until Wallaby: exposes the root disk by tgt."""

import os
import subprocess
import time

from ironic_python_agent import disk_utils
from ironic_python_agent import errors
from ironic_python_agent.extensions import base
from ironic_python_agent import hardware
from oslo_log import log

LOG = log.getLogger(__name__)

DEFAULT_PORT = 3260
START_LIMIT = 30  # seconds
CONTROL = "/run/ironmaster-tgtd"


class TargetError(errors.RESTError):
    """The disk could not be exposed."""

    message = "Error starting iSCSI target"


def admin(*words):
    """Asks the daemon for something and returns what it printed."""
    command = ["tgtadm", "-C", "0", "--lld", "iscsi", *words]
    answer = subprocess.run(
        command, env={**os.environ, "TGT_IPC_SOCKET": CONTROL}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    if answer.returncode:
        raise TargetError("%s: %s" % (" ".join(command), answer.stdout.strip()))
    return answer.stdout


class ISCSIExtension(base.BaseAgentExtension):
    """Exposes the disk that the instance is to be on."""

    daemon = None

    @base.sync_command("start_iscsi_target")
    def start_iscsi_target(self, iqn=None, wipe_disk_metadata=False, portal_port=None):
        """Exposes the disk under a name; a former target is gone before, with everybody who uses it.

        :param iqn: the target's name.
        :param wipe_disk_metadata: clears partition tables and signatures before.
        :param portal_port: where to listen, on all addresses.
        :returns: the target's name.
        """
        if not iqn:
            raise errors.InvalidCommandParamsError("iqn is missing")
        # tgtd does not care for SIGTERM while it has targets. Once it is gone nothing is written any more.
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None
        device = hardware.dispatch_to_managers("get_os_install_device", permit_refresh=True)
        if wipe_disk_metadata:
            disk_utils.destroy_disk_metadata(device, self.agent.get_node_uuid())
        self.start(portal_port or DEFAULT_PORT)
        for words in (
            ("--op", "new", "--mode", "target", "--tid", "1", "--targetname", iqn),
            ("--op", "new", "--mode", "logicalunit", "--tid", "1", "--lun", "1", "--backing-store", device),
            ("--op", "bind", "--mode", "target", "--tid", "1", "--initiator-address", "ALL"),
        ):
            admin(*words)
        LOG.info("Exposed %s as %s on port %s", device, iqn, portal_port or DEFAULT_PORT)
        return {"iscsi_target_iqn": iqn}

    def start(self, port):
        """Starts the daemon and waits until it answers."""
        self.daemon = subprocess.Popen(
            ["tgtd", "-f", "-C", "0", "--iscsi", "portal=0.0.0.0:%d" % port], env={**os.environ, "TGT_IPC_SOCKET": CONTROL})
        limit = time.monotonic() + START_LIMIT
        while True:
            try:
                admin("--op", "show", "--mode", "target")
                return
            except TargetError:
                if self.daemon.poll() is not None or time.monotonic() > limit:
                    raise
            time.sleep(0.1)
