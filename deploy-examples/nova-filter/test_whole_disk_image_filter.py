"""Tests of the filter with Nova's own objects, databases, filter loader and host manager.

What the API notes, the scheduler receives and the compute node writes is made by Nova's own code. Run by make nova-filter,
with Debian's python3-nova.
"""

import inspect
import json
import os
import pathlib
import shutil
import tempfile
import unittest
import uuid

import nova.conf
from nova import config
from nova import context as nova_context
from nova import objects
from nova import utils
from nova.db import migration
from nova.network import model as network_model
from nova.objects import base as nova_object
from nova.objects import fields
from nova.scheduler import host_manager
from nova.virt import driver
from nova.virt.ironic import patcher
from oslo_utils import timeutils

import whole_disk_image_filter

HERE = pathlib.Path(__file__).parent
CASES = json.loads((HERE / 'testdata' / 'cases.json').read_text())
PARTITION = {'kernel_id': str(uuid.uuid4()), 'ramdisk_id': str(uuid.uuid4())}
SWAP = {'root_gb': 100, 'ephemeral_gb': 0, 'swap': 512}
ROOT_ONLY = {'root_gb': 100, 'ephemeral_gb': 0, 'swap': 0}


def setUpModule():
    folder = tempfile.mkdtemp(prefix='nova-filter-')
    unittest.addModuleCleanup(shutil.rmtree, folder)
    conf = os.path.join(folder, 'nova.conf')
    # The lines of README.md below [filter_scheduler].
    readme = (HERE / 'README.md').read_text()
    options = readme.split('[filter_scheduler]\n')[1].split('```')[0]
    pathlib.Path(conf).write_text(
        '[DEFAULT]\ntransport_url = fake:/\n[api_database]\nconnection = sqlite:///{0}/api.sqlite\n'
        '[database]\nconnection = sqlite:///{0}/cell.sqlite\n'
        '[filter_scheduler]\n{1}\n'.format(folder, options))
    config.parse_args(['nova-scheduler', '--config-file', conf], default_config_files=[])
    objects.register_all()
    migration.db_sync(database='api')
    migration.db_sync(database='main')
    admin = nova_context.get_admin_context()
    for cell in (objects.CellMapping.CELL0_UUID, str(uuid.uuid4())):
        objects.CellMapping(admin, uuid=cell, name=cell, transport_url='none:///', disabled=False,
                            database_connection=nova.conf.CONF.database.connection).create()


def a_flavor(sizes):
    return objects.Flavor(id=1, flavorid='bm', name='bm.test', memory_mb=0, vcpus=0, rxtx_factor=1.0, vcpu_weight=0,
                          disabled=False, is_public=True, description=None,
                          extra_specs={'resources:CUSTOM_BAREMETAL': '1'}, **sizes)


def a_host(name, hypervisor):
    """Make the scheduler's view of a host out of the compute node's report."""
    node = objects.ComputeNode(
        uuid=str(uuid.uuid4()), host='compute-1', hypervisor_hostname=name, hypervisor_type=hypervisor,
        hypervisor_version=1, host_ip='127.0.0.1', memory_mb=0, free_ram_mb=0, local_gb=0, free_disk_gb=0, vcpus=0,
        local_gb_used=0, memory_mb_used=0, vcpus_used=0, disk_available_least=0, cpu_info='', running_vms=0,
        current_workload=0, numa_topology=None, stats={}, supported_hv_specs=[], metrics=None, pci_device_pools=None,
        cpu_allocation_ratio=1.0, ram_allocation_ratio=1.0, disk_allocation_ratio=1.0, updated_at=None)
    state = host_manager.HostState('compute-1', name, str(uuid.uuid4()))
    now = timeutils.utcnow(with_timezone=True)
    service = objects.Service(host='compute-1', binary='nova-compute', disabled=False, disabled_reason=None, created_at=now,
                              updated_at=now, last_seen_up=now, forced_down=False)
    state.update(compute=node, service=dict(service), aggregates=[], inst_dict={})
    return state


class Request:
    """A request as the API makes it: an image and a flavor, noted in the build request that lies in the database."""

    def __init__(self, properties, sizes, volume_booted=False):
        self.context = nova_context.RequestContext('me', 'project', roles=['member'])
        self.image = {'id': str(uuid.uuid4()), 'name': 'image', 'status': 'active', 'disk_format': 'qcow2',
                      'container_format': 'bare', 'min_ram': 0, 'min_disk': 0, 'properties': properties}
        if volume_booted:
            # What the API reads off a volume has no ID.
            del self.image['id']
        self.flavor = a_flavor(sizes)
        self.instance = objects.Instance(
            self.context, uuid=str(uuid.uuid4()), project_id='project', user_id='me', host=None, node=None,
            image_ref=self.image.get('id', ''), flavor=self.flavor, display_name='server', system_metadata={},
            availability_zone=None, numa_topology=None, pci_requests=None, vcpu_model=None, metadata={})
        self.instance.system_metadata = utils.get_system_metadata_from_image(self.image, self.flavor)
        self.build_request = objects.BuildRequest(
            self.context, instance=self.instance, instance_uuid=self.instance.uuid, project_id='project',
            block_device_mappings=objects.BlockDeviceMappingList(), tags=objects.TagList())
        self.build_request.create()
        self.spec = objects.RequestSpec.from_components(
            self.context, self.instance.uuid, self.image, self.flavor, None, None, {}, None, None)
        self.spec.is_bfv = volume_booted

    def sent(self):
        """Return the request as the scheduler takes it off the message queue."""
        serializer = nova_object.NovaObjectSerializer()
        wire = json.loads(json.dumps(serializer.serialize_entity(self.context, self.spec)))
        return serializer.deserialize_entity(self.context, wire)

    def into_cell(self):
        """Move the instance into its cell, as the conductor does once a host was found."""
        cells = objects.CellMappingList.get_all(self.context)
        cell = next(c for c in cells if not c.is_cell0())
        objects.InstanceMapping(self.context, instance_uuid=self.instance.uuid, project_id='project', user_id='me',
                                cell_mapping=cell).create()
        with nova_context.target_cell(self.context, cell) as context:
            # A new object: what is created has no host and no ID yet.
            objects.Instance(context, uuid=self.instance.uuid, project_id='project', user_id='me',
                             image_ref=self.image['id'], flavor=self.flavor,
                             system_metadata=self.instance.system_metadata).create()
        self.build_request.destroy()


class FilterTest(unittest.TestCase):

    def setUp(self):
        self.manager = host_manager.HostManager()
        self.metal = a_host('metal', fields.HVType.IRONIC)
        self.virtual = a_host('virtual', fields.HVType.QEMU)

    def passing(self, spec, *hosts):
        found = self.manager.get_filtered_hosts(list(hosts), spec)
        return [host.nodename for host in found]

    def test_nova_loads_it_by_the_options_of_the_readme(self):
        names = [type(f).__name__ for f in self.manager.enabled_filters]
        self.assertIn('WholeDiskImageFilter', names)
        self.assertGreater(len(names), 1, "Nova's own filters are gone")

    def test_cases(self):
        for case in CASES:
            with self.subTest(case['name']):
                request = Request(case['properties'], case['flavor'])
                with self.assertLogs('whole_disk_image_filter', 'DEBUG') as logs:
                    whole_disk_image_filter.LOG.debug('begin')
                    got = self.passing(request.sent(), self.metal, self.virtual)
                self.assertEqual(['virtual'] if case['refused_for'] else ['metal', 'virtual'], got)
                text = '\n'.join(logs.output)
                for what, wording in (('swap', 'swap ('), ('ephemeral', 'an ephemeral disk (')):
                    self.assertEqual(what in case['refused_for'], wording in text, text)
                properties = whole_disk_image_filter.image_properties(request.instance.uuid)
                self.assertEqual(case['kind'], whole_disk_image_filter.image_kind(properties)[0])

    def test_cases_are_what_nova_writes_into_instance_info(self):
        """The conductor's test takes instance_info out of the same file."""
        for case in CASES:
            with self.subTest(case['name']):
                request = Request(case['properties'], case['flavor'])
                node = type('Node', (), {'properties': {}})()
                create = patcher.create(node).get_deploy_patch
                arguments = [request.instance, request.spec.image, request.flavor]
                if 'metadata' in inspect.signature(create).parameters:
                    # Newer than Debian 12.
                    arguments.append(driver.ComputeDriver.get_instance_driver_metadata(
                        request.instance, network_model.NetworkInfo()))
                patch = {p['path'].removeprefix('/instance_info/'): p['value'] for p in create(*arguments)}
                self.assertEqual(request.image['id'], patch['image_source'])
                sizes = {key: patch[key] for key in ('root_gb', 'swap_mb', 'ephemeral_gb') if key in patch}
                self.assertEqual(case['instance_info'], sizes)
                self.assertNotIn('image_type', patch)

    def test_the_log_says_why(self):
        request = Request({}, {'root_gb': 100, 'ephemeral_gb': 20, 'swap': 512})
        others = [a_host('metal-%d' % i, fields.HVType.IRONIC) for i in range(3)]
        with self.assertLogs('whole_disk_image_filter', 'DEBUG') as logs:
            self.assertEqual([], self.passing(request.sent(), self.metal, *others))
        reason = ('image %s is a whole disk (it has neither kernel_id nor ramdisk_id), which leaves no place for the swap '
                  '(512 MiB) and an ephemeral disk (20 GiB) that flavor bm.test asks for' % request.image['id'])
        told = [r.getMessage() for r in logs.records if r.levelname == 'INFO']
        self.assertEqual(['Instance %s: no bare metal host can take it: %s' % (request.instance.uuid, reason)], told)
        each = [r.getMessage() for r in logs.records if r.levelname == 'DEBUG']
        self.assertEqual(4, len(each), each)
        self.assertEqual('Node metal of host compute-1 is refused: ' + reason, each[0])

    def test_a_volume_brings_no_image(self):
        request = Request({}, SWAP, volume_booted=True)
        self.assertEqual(['metal'], self.passing(request.sent(), self.metal))

    def test_a_rebuild_is_asked_with_the_new_image(self):
        for properties, want in (({}, []), (PARTITION, ['metal'])):
            with self.subTest(properties):
                request = Request(properties, SWAP)
                request.into_cell()
                # What the API asks of the scheduler when a server is rebuilt with another image.
                request.spec.scheduler_hints = {'_nova_check_type': ['rebuild']}
                request.spec.force_hosts = ['compute-1']
                request.spec.force_nodes = ['metal']
                self.assertEqual(want, self.passing(request.sent(), self.metal))

    def test_several_servers_of_one_request(self):
        spec = Request({}, SWAP).sent()
        self.assertEqual([], list(self.manager.get_filtered_hosts([self.metal], spec, index=0)))
        # Nova hands the hosts that passed for the first one on to the others.
        self.assertEqual(['metal'], [h.nodename for h in self.manager.get_filtered_hosts([self.metal], spec, index=1)])

    def test_nova_is_asked_once_for_each_request_and_only_when_it_matters(self):
        asked = []
        original = whole_disk_image_filter.image_properties
        self.addCleanup(setattr, whole_disk_image_filter, 'image_properties', original)
        whole_disk_image_filter.image_properties = lambda uuid: asked.append(uuid) or original(uuid)
        hosts = [a_host('metal-%d' % i, fields.HVType.IRONIC) for i in range(5)]
        request = Request({}, SWAP)
        self.passing(request.sent(), *hosts)
        self.assertEqual([request.instance.uuid], asked)
        self.passing(Request({}, ROOT_ONLY).sent(), *hosts)
        self.passing(Request({}, SWAP).sent(), self.virtual)
        self.assertEqual(1, len(asked))

    def test_what_cannot_be_told_passes_and_the_log_says_so(self):
        gone = Request({}, SWAP)
        gone.build_request.destroy()
        bare = Request({}, SWAP)
        bare.spec.flavor = objects.Flavor(name='bm')
        nameless = Request({}, SWAP)
        del nameless.spec.instance_uuid
        for what, spec in (('deleted meanwhile', gone.sent()), ('a flavor without sizes', bare.sent()),
                           ('no instance', nameless.sent())):
            with self.subTest(what), self.assertLogs('whole_disk_image_filter', 'WARNING'):
                self.assertTrue(whole_disk_image_filter.WholeDiskImageFilter().host_passes(self.metal, spec))

    def test_odd_input_passes(self):
        one = whole_disk_image_filter.WholeDiskImageFilter()
        no_image = Request({}, SWAP)
        no_image.spec.image = None
        no_flavor = Request({}, SWAP)
        no_flavor.spec.flavor = None if objects.RequestSpec.fields['flavor'].nullable else a_flavor(ROOT_ONLY)
        with self.assertLogs('whole_disk_image_filter', 'WARNING'):
            for host in (self.metal, self.virtual, None, object(), host_manager.HostState('h', 'n', 'c')):
                for spec in (None, {}, object(), objects.RequestSpec(), no_image.spec, no_flavor.spec):
                    with self.subTest(host=host, spec=spec):
                        self.assertTrue(one.host_passes(host, spec))


if __name__ == '__main__':
    unittest.main()
