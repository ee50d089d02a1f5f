"""A filter for Nova's scheduler: a whole-disk image on bare metal takes a root-only flavor.

A whole-disk image brings its own partition table, which leaves no place for the swap or the ephemeral partition that a
flavor may ask for. The conductor refuses such a deployment when it validates the node. With this filter the scheduler
does so before a node is claimed, and the user reads "No valid host was found" at once.

What the image is, the conductor infers from properties of the image in Glance: img_type, kernel_id and ramdisk_id. Nova
hands none of these to its filters, for the object that describes the image to them keeps only properties that Nova
itself knows. But Nova notes all of them with the instance, as system metadata image_*: in the build request while the
instance is scheduled for the first time, in the instance's cell afterwards. There the filter reads them, and only when
a bare metal host is asked and the flavor is not root-only, once for each request.

The conductor has the last word. So what cannot be found out passes, and the log says so.
"""

import weakref

from nova import context as nova_context
from nova import exception
from nova import objects
from nova import utils
from nova.objects import fields
from nova.scheduler import filters
from oslo_log import log as logging

LOG = logging.getLogger(__name__)

WHOLE_DISK = 'whole-disk'
PARTITION = 'partition'


def image_kind(properties):
    """Tell what a Glance image with these properties is, and by which of them.

    The rules are those of ironic and of Ironmaster's drivers/image/kind.go; testdata/cases.json holds the two together.
    """
    declared = properties.get('img_type')
    if declared:
        kind = PARTITION if declared == PARTITION else WHOLE_DISK
        return kind, 'its property img_type is "%s"' % declared
    present = [key for key in ('kernel_id', 'ramdisk_id') if properties.get(key)]
    if present:
        return PARTITION, 'it has the property %s' % ' and '.join(present)
    return WHOLE_DISK, 'it has neither kernel_id nor ramdisk_id'


def beyond_root(flavor):
    """List what a flavor asks for beside a root disk, for people. Nova writes both into the node's instance_info."""
    beyond = []
    if flavor.swap:
        beyond.append('swap (%s MiB)' % flavor.swap)
    if flavor.ephemeral_gb:
        beyond.append('an ephemeral disk (%s GiB)' % flavor.ephemeral_gb)
    return beyond


def image_properties(instance_uuid):
    """Read the properties of an instance's image, as Nova noted them."""
    instance = _find_instance(instance_uuid)
    prefix = utils.SM_IMAGE_PROP_PREFIX
    # Nova notes a property that is null in Glance as the text None.
    return {key[len(prefix):]: value for key, value in instance.system_metadata.items()
            if key.startswith(prefix) and value != 'None'}


def _find_instance(uuid):
    context = nova_context.get_admin_context()
    try:
        return objects.BuildRequest.get_by_instance_uuid(context, uuid).instance
    except exception.BuildRequestNotFound:
        # Built before, and now to be rebuilt: it lives in its cell.
        mapping = objects.InstanceMapping.get_by_instance_uuid(context, uuid)
    with nova_context.target_cell(context, mapping.cell_mapping) as cell:
        return objects.Instance.get_by_uuid(cell, uuid, expected_attrs=['system_metadata'])


def why_refused(spec):
    """Tell why bare metal cannot take a request, or None when it can as far as image and flavor go."""
    beyond = beyond_root(spec.flavor)
    # An instance that boots from a volume brings no image to a disk.
    if not beyond or not spec.image or ('is_bfv' in spec and spec.is_bfv):
        return None
    kind, reason = image_kind(image_properties(spec.instance_uuid))
    if kind != WHOLE_DISK:
        return None
    name = spec.image.id if 'id' in spec.image else 'of the request'
    return ('image %s is a whole disk (%s), which leaves no place for the %s that flavor %s asks for'
            % (name, reason, ' and '.join(beyond), spec.flavor.name))


class WholeDiskImageFilter(filters.BaseHostFilter):
    """Pass bare metal hosts for a whole-disk image only when the flavor is root-only, and all other hosts."""

    # A rebuild may bring another image.
    RUN_ON_REBUILD = True

    # All instances of a request have the same image and flavor.
    run_filter_once_per_request = True

    def __init__(self):
        super().__init__()
        # The answer for each request, forgotten with it: there may be thousands of hosts.
        self._answers = weakref.WeakKeyDictionary()

    def host_passes(self, host_state, spec_obj):
        """Tell whether a host can take the image with the flavor of the request. Raises nothing."""
        if getattr(host_state, 'hypervisor_type', None) != fields.HVType.IRONIC:
            return True
        if not isinstance(spec_obj, objects.RequestSpec):
            return True
        if spec_obj not in self._answers:
            self._answers[spec_obj] = self._decide(spec_obj)
        reason = self._answers[spec_obj]
        if reason is None:
            return True
        LOG.debug('Node %(node)s of host %(host)s is refused: %(reason)s',
                  {'node': host_state.nodename, 'host': host_state.host, 'reason': reason})
        return False

    def _decide(self, spec):
        uuid = spec.instance_uuid if 'instance_uuid' in spec else None
        try:
            reason = why_refused(spec)
        except Exception:
            LOG.warning('Instance %s: every bare metal host passes, for it cannot be told whether image and flavor go '
                        'together; the conductor will look again', uuid, exc_info=True)
            return None
        if reason is not None:
            LOG.info('Instance %(uuid)s: no bare metal host can take it: %(reason)s', {'uuid': uuid, 'reason': reason})
        return reason
