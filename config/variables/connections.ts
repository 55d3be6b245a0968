import * as kinds from '../kinds/kinds.ts';
import { countOrZero, type VariableGroup } from './variable.ts';

export const connections = {
  title: 'Connections and sizes',
  page: 'limits.md',
  rows: {
    maxUpgrades: {
      name: 'MAX_UPGRADES',
      kind: countOrZero,
      default: '1000',
      description: 'WebSocket connections open at a time. 0: none are accepted.',
    },
    compressionCoders: {
      name: 'COMPRESSION_CODERS',
      kind: countOrZero,
      default: '64',
      description:
        'Responses that are compressed at a time, each with about 1 MiB, all threads together; one client has a quarter of them at most. What is beyond is sent uncompressed. 0: nothing is compressed.',
    },
    maxConnections: {
      name: 'MAX_CONNECTIONS',
      kind: countOrZero,
      unset: '20000, or fewer where memory is limited',
      description:
        'Connections of clients open at a time on each port; more are closed at once. 0: no limit. Not set: as many as the memory limit carries (`docs/sizing.md`), up to 20,000.',
    },
    maxBodyBytes: {
      name: 'MAX_BODY_BYTES',
      kind: kinds.bytes(0),
      default: '0',
      description: 'Largest content of a request; more gets 413. 0: no limit.',
    },
    maxRequestHeadBytes: {
      name: 'MAX_REQUEST_HEAD',
      kind: kinds.bytesBetween('1KiB', '1MiB'),
      default: '64KiB',
      description:
        'Largest head of a request: request target, field names and field values together. A larger head gets a 431.',
    },
    maxResponseHeadBytes: {
      name: 'MAX_RESPONSE_HEAD',
      kind: kinds.bytesBetween('1KiB', '1MiB'),
      default: '64KiB',
      description:
        "Largest head of a service's response: field names and field values together. A larger head is a 502 that says so, and no failure of the replica.",
    },
  },
} as const satisfies VariableGroup;
