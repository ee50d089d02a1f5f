#!/usr/bin/env python3
"""Writes what ironic's own engine makes of the rules in cases.json, for the release that is installed: golden.py cases.json > outcomes.json"""
import copy
import json
import sys
from types import SimpleNamespace

from ironic.common import context
from ironic.common import service  # noqa: F401, registers the options
from ironic.common.inspection_rules import engine
from ironic.conf import CONF
from ironic import objects
from ironic.common import exception

objects.register_all()
CONF([], project='ironic', default_config_files=[])
objects.Node.save = lambda self, context=None: None
objects.Port.save = lambda self, context=None: None
traits = []


class Trait(object):
    def __init__(self, ctx, node_id, trait):
        self.trait = trait

    def create(self, context=None):
        traits.append('+' + self.trait)

    @staticmethod
    def destroy(context, node_id, trait):
        if trait == 'CUSTOM_NONE':
            raise exception.NodeTraitNotFound(node_id=node_id, trait=trait)
        traits.append('-' + trait)


objects.Trait = Trait
NODE = '0a17c0de-1d2e-4f3a-8b4c-5d6e7f809101'
COLUMNS = ['extra', 'properties', 'driver_info', 'description', 'maintenance', 'driver']


def play(case):
    del traits[:]
    CONF.set_override('mask_secrets', case.get('mask', 'always'), 'inspection_rules')
    ctx = context.get_admin_context()
    values = dict(id=1, uuid=NODE, name='a', driver='fake-hardware', instance_uuid=None, description=None, maintenance=False,
                  extra={}, properties={}, driver_info={})
    values.update(copy.deepcopy(case.get('node', {})))
    node = objects.Node(ctx, **values)
    ports = [objects.Port(ctx, id=2, uuid=p['uuid'], address=p['address'], extra=p.get('extra', {}), physical_network=None)
             for p in copy.deepcopy(case.get('ports', []))]
    plugin = copy.deepcopy(case.get('plugin', {}))
    rules = [dict({'uuid': 'rule-%d' % i, 'priority': 0, 'sensitive': False, 'phase': 'main', 'conditions': []}, **r)
             for i, r in enumerate(copy.deepcopy(case['rules']))]
    objects.InspectionRule.list = staticmethod(lambda context, filters: rules)
    out = {}
    try:
        engine.apply_rules(SimpleNamespace(node=node, ports=ports, context=ctx), copy.deepcopy(case.get('inventory', {})), plugin, 'main')
    except Exception as e:
        out['error'] = str(e)
    out['node'] = {c: getattr(node, c) for c in COLUMNS if node.obj_attr_is_set(c)}
    out['plugin'] = plugin
    out['ports'] = [{'extra': p.extra, 'physical_network': p.physical_network} for p in ports]
    out['traits'] = list(traits)
    return out


def plain(v):
    return repr(v)


cases = json.load(open(sys.argv[1]))
json.dump({name: play(case) for name, case in cases.items()}, sys.stdout, indent=1, sort_keys=True, default=plain)
print()
