import { addressList, host, hostList } from '../kinds/addresses.ts';
import * as kinds from '../kinds/kinds.ts';
import type { VariableGroup } from './variable.ts';

export const ports = {
  title: 'Environment and ports',
  page: 'operations.md#deploy',
  rows: {
    environment: {
      name: 'NODE_ENV',
      kind: kinds.environmentName,
      default: 'development',
      description:
        'With `production`, a `JWT_SECRET` or `ADMIN_TOKEN` that is short or an example is refused.',
    },
    externalHost: {
      name: 'EXTERNAL_HOST',
      kind: host,
      default: '::',
      description: 'Address of the port for users; `::` is every address of the machine.',
    },
    externalPort: {
      name: 'EXTERNAL_PORT',
      kind: kinds.port(0),
      default: '8000',
      description: 'Port for users: tokens, limits and cache apply.',
    },
    internalHost: {
      name: 'INTERNAL_HOST',
      kind: host,
      default: '::',
      description:
        'Address of the port for services; `::` is every address of the machine. It asks for no token, so it must not be reachable from outside: bind it to a private address, or do not publish it.',
    },
    internalPort: {
      name: 'INTERNAL_PORT',
      kind: kinds.port(0),
      default: '8001',
      description: 'Port for services calling each other under `/internal`.',
    },
    internalAllow: {
      name: 'INTERNAL_ALLOW',
      kind: addressList,
      default: '',
      description:
        'Peers that may connect to the port for services although their addresses are public. Loopback, private (RFC 1918, RFC 4193, RFC 6598) and link-local addresses always may; connections of all others are closed at once.',
    },
    internalNames: {
      name: 'INTERNAL_NAMES',
      kind: hostList,
      default: '',
      description:
        'Public names by which browsers may call the port for services, such as `gateway.example.com`. Services may use any name, and browsers addresses, names without dots and private ones (`.local`, `.internal`) as well.',
    },
    reusePort: {
      name: 'REUSE_PORT',
      kind: kinds.flag,
      default: 'false',
      description:
        'Lets other gateways of this machine that say so too listen on the same ports, so that one is restarted while another serves (`SO_REUSEPORT`).',
    },
  },
} as const satisfies VariableGroup;

export const workers = {
  title: 'Workers and memory',
  page: 'workers.md',
  rows: {
    workers: {
      name: 'WORKERS',
      kind: kinds.workers,
      default: '1',
      description:
        'Threads that take requests, each with both ports; `auto` is one for each core. Limits, breakers and the choice of a replica hold for all of them together. With more than one the system must know `SO_REUSEPORT`, as Linux does.',
    },
    memoryLimitBytes: {
      name: 'MEMORY_LIMIT',
      kind: kinds.bytesBetween('64MiB', '1024GiB'),
      unset: "the container's limit, if there is one",
      description:
        'Memory that the gateway may take. What it keeps and how many connections it takes (`docs/sizing.md`) follow from it where they are not set, and it collects garbage earlier. Set it where no container limits the memory, as with several gateways on one machine.',
    },
  },
} as const satisfies VariableGroup;
