#!/usr/bin/python3
"""Writes golden.json: what oslo.config makes of tricky texts. Run with the distribution's own python3-oslo.config
(9.0.0 of Debian 12 wrote the file that is checked in): ./golden.py > golden.json"""
import json
import random
import tempfile

from oslo_config import cfg
from oslo_config import types

rng = random.Random(20261122)


def compose(pieces, count, longest):
    return sorted({''.join(rng.choice(pieces) for _ in range(rng.randint(1, longest))) for _ in range(count)})


def parse(text):
    with tempfile.NamedTemporaryFile('w', newline='', suffix='.conf') as f:
        f.write(text)
        f.flush()
        sections, normalized = {}, {}
        parser = cfg.ConfigParser(f.name, sections)
        parser._add_normalized(normalized)
        try:
            parser.parse()
        except Exception:
            return None
        return normalized


def convert(kind):
    def run(text):
        try:
            value = kind(text)
        except ValueError:
            return None
        return None if value is None else [value]
    return run


def substitute(text):
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    conf.register_opts([cfg.StrOpt('my_ip', default='192.0.2.1'), cfg.StrOpt('unset'), cfg.BoolOpt('flag', default=True),
                        cfg.IntOpt('number', default='7'), cfg.ListOpt('list', default=['a', 'b']),
                        cfg.StrOpt('chain', default='<$my_ip>'), cfg.StrOpt('own', default='outer')])
    conf.register_opts([cfg.StrOpt('own', default='inner'), cfg.StrOpt('text', default=text)], group='grp')
    try:
        return [conf.grp.text]
    except Exception:
        return None


def cases(function, texts):
    return [{'in': text, 'out': function(text)} for text in texts]


lines = ['[a]\n', '[A]\n', '[DEFAULT]\n', '[default]\n', '[ b ]\n', '[]\n', '[x\n', '# c\n', '; c\n', '\n', '  \n', ' # d\n',
         '\tmore\n', ' more\r\n', 'k = v\n', 'k=w # no comment\n', 'k: a=b\n', 'l = a:b\n', 'k =\n', '=v\n', 'word\n',
         'k = "q"\n', "k = 'q' \n", 'k = "\n', 'k = "a\'\n', 'k = "a" "b"\n', 'm-n = 1\r', 'm_n = \x1c2\x1f\n',
         'k = \u00a0v\u2003\n', '\u00a0k = 1\n', '[a] ; c\n', '[a]] \n', 'k = v']
json.dump({
    'parse': cases(parse, [first + text for first in ('', '[s]\n') for text in compose(lines, 400, 6)]),
    'int': cases(convert(types.Integer()), compose(['1', '0', '-', '+', '_', ' ', '.', 'x', 'e'], 200, 5)),
    'float': cases(convert(types.Float()), compose(['1', '0', '-', '.', '_', ' ', 'e', 'x', 'p'], 200, 6)),
    'bool': cases(convert(types.Boolean()), ['true', 'True', 'YES', 'on', '1', 'false', 'No', 'OFF', '0', '', ' true', 't', '2', 'None']),
    'list': cases(convert(types.List()), compose([',', ' ', 'a', 'b c', '\n', '"', '\t'], 150, 7)),
    'dict': cases(convert(types.Dict()), compose([',', ':', ' ', 'a', 'b', '\n', 'c:d'], 300, 7)),
    'substitute': cases(substitute, compose(['$', '${', '}', '\\', 'my_ip', 'own', 'flag', 'unset', 'number', 'list', 'chain', 'grp',
                                             '.', 'nothing', ' ', '$my_ip', '${grp.own}', '$$', '-', '$own'], 500, 5)),
}, __import__('sys').stdout, indent=0, sort_keys=True)
