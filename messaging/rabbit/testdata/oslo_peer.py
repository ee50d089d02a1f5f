"""The original's side of the wire: oslo.messaging as Debian's ironic uses it.

Reads one JSON object on standard input: url, topic, host, servers (option sets to run an RPC server with) and calls
(requests to make). Prints one JSON object per line: first {"servers": n} once all servers listen, then the outcome of
each call. Ends when standard input does.
"""
import json
import os
import sys

from oslo_config import cfg
import oslo_messaging

from ironic.common import exception  # noqa: F401, rebuilt from failures


def transport(url, exchange, options):
    conf = cfg.CONF if not options else cfg.ConfigOpts()
    conf([])
    oslo_messaging.set_transport_defaults(exchange)
    made = oslo_messaging.get_rpc_transport(
        conf, url, allowed_remote_exmods=['ironic.common.exception'])
    for name, value in options.items():
        conf.set_override(name, value, group='oslo_messaging_rabbit')
    return made


class Endpoint(object):
    target = oslo_messaging.Target(version='1.55')


def main():
    job = json.loads(sys.stdin.readline())
    servers = []
    for s in job.get('servers', []):
        server = oslo_messaging.get_rpc_server(
            transport(job['url'], s['exchange'], s['options']),
            oslo_messaging.Target(topic=s['topic'], server=job['host']),
            [Endpoint()], executor='threading')
        server.start()
        servers.append(server)
    print(json.dumps({'servers': len(servers)}), flush=True)
    calls = job.get('calls', [])
    if calls:
        client = oslo_messaging.get_rpc_client(
            transport(job['url'], job['exchange'], {}),
            oslo_messaging.Target(topic=job['topic'], server=job['host'], version='1.0'))
    for call in calls:
        try:
            how = client.prepare(version=call['version'], timeout=20,
                                 call_monitor_timeout=call.get('monitor'))
            result = {'result': how.call({'request_id': 'req-1'}, call['method'], **call['args'])}
        except Exception as e:
            result = {'class': type(e).__name__, 'code': getattr(e, 'code', None), 'text': str(e)}
        print(json.dumps(result), flush=True)
    sys.stdin.read()
    # An orderly end of all those threads takes seconds.
    os._exit(0)


main()
