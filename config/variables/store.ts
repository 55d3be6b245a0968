import { host, redisAddress } from '../kinds/addresses.ts';
import * as kinds from '../kinds/kinds.ts';
import { maskAll, maskCredentials } from '../report/problems.ts';
import { redisNodes } from '../sections/redisNodes.ts';
import { countOrZero, filePath, type VariableGroup } from './variable.ts';

export const store = {
  title: 'Store',
  page: 'operations.md#scale',
  rows: {
    redisUrl: {
      name: 'REDIS_URL',
      kind: redisAddress,
      unset: 'none',
      description:
        'The Redis that gateways share. Instead of `REDIS_HOST` and `REDIS_PORT`. Neither set: the embedded store of this one gateway.',
      mask: maskCredentials,
    },
    redisHost: {
      name: 'REDIS_HOST',
      kind: host,
      unset: 'none',
      description:
        'Host of the Redis that gateways share. Neither this, `REDIS_URL` nor `USE_REDIS_SHARDING` set: the embedded store.',
    },
    redisPort: {
      name: 'REDIS_PORT',
      kind: kinds.port(1),
      default: '6379',
      description: 'Port on `REDIS_HOST`.',
    },
    useRedisSharding: {
      name: 'USE_REDIS_SHARDING',
      kind: kinds.flag,
      default: 'false',
      description:
        'Spreads keys over the nodes in `REDIS_NODES`, instead of `REDIS_HOST`: cached responses and counts are on one of them, tokens and revocations on each. Three nodes or more, of which one may be away.',
    },
    redisNodes: {
      name: 'REDIS_NODES',
      kind: redisNodes,
      unset: 'none',
      description:
        'The nodes, the same on every gateway in any order. Which keys a node has goes by its name. `REDIS_USERNAME`, `REDIS_PASSWORD` and `REDIS_DB` hold for all of them.',
    },
    redisDb: {
      name: 'REDIS_DB',
      kind: countOrZero,
      default: '0',
      description: 'Number of the database in Redis, where it is not in `REDIS_URL`.',
    },
    redisUsername: {
      name: 'REDIS_USERNAME',
      kind: kinds.text('a user name'),
      unset: 'none',
      description: 'User to log in to Redis as, where it is not in `REDIS_URL`.',
    },
    redisPassword: {
      name: 'REDIS_PASSWORD',
      kind: kinds.text('a password'),
      unset: 'none',
      description: 'Password for Redis, where it is not in `REDIS_URL`.',
      mask: maskAll,
      file: 'REDIS_PASSWORD_FILE',
    },
    redisPasswordFile: {
      name: 'REDIS_PASSWORD_FILE',
      kind: filePath,
      unset: 'none',
      description: 'A file holding the password instead, such as a Docker secret.',
    },
    redisRequired: {
      name: 'REDIS_REQUIRED',
      kind: kinds.flag,
      default: 'true',
      description:
        'Whether a configured Redis (of several nodes, all but one) must respond within 5 s of the start. `false` starts without it: services reach each other, and users get 503 until it is there.',
    },
    storeTimeoutMs: {
      name: 'STORE_TIMEOUT',
      kind: kinds.duration,
      default: '50ms',
      description: 'Longest wait for one reply of the store.',
    },
    dataDir: {
      name: 'DATA_DIR',
      kind: kinds.text('the path of a directory'),
      default: './data',
      description: 'Directory of the embedded store; revoked tokens survive a restart there.',
    },
  },
} as const satisfies VariableGroup;
