import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createClient } from 'redis';
import { openRedisStore } from '../../../../lib/store/redis/redis.ts';
import { CertificateFiles, makeCertificate } from '../../../support/certificates.ts';
import { eventually } from '../../../support/eventually.ts';
import { TiedProcess } from '../../../support/processes/tiedProcess.ts';
import { ensureRedisBinary, freePort, type RedisServer, startRedis } from '../../../support/stores/redis.ts';

// Real processes on a machine that may be busy.
jest.setTimeout(30_000);
/** So long nobody may have to wait for what no waiting mends. */
const LONG_MS = 60_000;

async function withRedis(args: readonly string[], use: (redis: RedisServer) => Promise<void>): Promise<void> {
  const redis = await startRedis({ args });
  try {
    await use(redis);
  } finally {
    await redis.stop();
  }
}

const opening = (url: string, connectTimeoutMs = LONG_MS) =>
  openRedisStore({ url, connectTimeoutMs, timeoutMs: 1_000 });

describe('a start says at once, and without the password,', () => {
  const shown = (redis: RedisServer, user = '') => `, at redis://${user}127.0.0.1:${redis.port}`;

  test('that the password is wrong', () =>
    withRedis(['--requirepass', 'right'], async (redis) => {
      await expect(opening(`redis://:s3cret@127.0.0.1:${redis.port}`)).rejects.toThrow(
        `REDIS_URL: the server refused the password, or the user name (WRONGPASS)${shown(redis, ':***@')}`,
      );
    }));

  test('that there is no such user', () =>
    withRedis([], async (redis) => {
      await expect(opening(`redis://nobody:s3cret@127.0.0.1:${redis.port}`)).rejects.toThrow(
        `REDIS_URL: the server refused the password, or the user name (WRONGPASS)${shown(redis, 'nobody:***@')}`,
      );
    }));

  test('that the password is missing', () =>
    withRedis(['--requirepass', 'right'], async (redis) => {
      await expect(opening(redis.url)).rejects.toThrow(
        `REDIS_URL: it wants a password and got none (NOAUTH)${shown(redis)}`,
      );
    }));

  test('that there is no such database', () =>
    withRedis([], async (redis) => {
      await expect(opening(`${redis.url}/99`)).rejects.toThrow(
        'REDIS_URL: it has no such database (ERR DB index is out of range)',
      );
    }));

  test.each(['', '/3'])('that it is a node of a cluster, database %p', (database) =>
    withRedis(['--cluster-enabled', 'yes'], async (redis) => {
      await expect(opening(redis.url + database)).rejects.toThrow(
        /^REDIS_URL: it is a node of a cluster.*cannot use/,
      );
    }),
  );

  test('that its user may not do what it takes', () =>
    withRedis([], async (redis) => {
      await command(redis, ['ACL', 'SETUSER', 'poor', 'on', '>s3cret', '+@all', '-client|tracking']);
      await expect(opening(`redis://poor:s3cret@127.0.0.1:${redis.port}`)).rejects.toThrow(
        /^REDIS_URL: its ACL does not let this user do so \(NOPERM .*client\|tracking.*\), at redis:\/\/poor:\*\*\*@/,
      );
    }));

  test('that it is a Sentinel', async () => {
    ensureRedisBinary();
    const directory = mkdtempSync(join(tmpdir(), 'gateway-sentinel-'));
    const [file, port] = [join(directory, 'sentinel.conf'), await freePort()];
    writeFileSync(file, `port ${port}\nbind 127.0.0.1\ndir ${directory}\nlogfile sentinel.log\n`);
    const sentinel = await TiedProcess.start('redis-server', [file, '--sentinel']);
    try {
      await expect(opening(`redis://127.0.0.1:${port}`, 5_000)).rejects.toThrow(
        /^REDIS_URL: it is a Sentinel/,
      );
    } finally {
      await sentinel.kill();
      rmSync(directory, { recursive: true });
    }
  });
});

describe('a start that waits in vain says', () => {
  const WAITED_MS = 700;

  test('that the name does not resolve', async () => {
    await expect(opening('redis://nowhere.invalid:6379', WAITED_MS)).rejects.toThrow(
      /could not be used within 700 ms: the name does not resolve( now)? \((ENOTFOUND|EAI_AGAIN)\)/,
    );
  });

  test('that nothing listens there', async () => {
    await expect(opening(`redis://127.0.0.1:${await freePort()}`, WAITED_MS)).rejects.toThrow(
      'nothing listens there (ECONNREFUSED)',
    );
  });

  test('that it is a replica', () =>
    withRedis(['--replicaof', '127.0.0.1 1'], async (redis) => {
      await expect(opening(redis.url, WAITED_MS)).rejects.toThrow(
        'it is a replica, and only its primary takes writes',
      );
    }));

  test('that it is a replica without its primary', () =>
    withRedis(['--replicaof', '127.0.0.1 1', '--replica-serve-stale-data', 'no'], async (redis) => {
      await expect(opening(redis.url, WAITED_MS)).rejects.toThrow(/it is a replica/);
    }));

  test('that it has as many clients as it may have', () =>
    withRedis(['--maxclients', '1'], async (redis) => {
      await expect(opening(redis.url, WAITED_MS)).rejects.toThrow('(maxclients)');
    }));

  test('that it speaks no TLS', () =>
    withRedis([], async (redis) => {
      await expect(opening(redis.url.replace('redis:', 'rediss:'), 1_500)).rejects.toThrow(
        'if it speaks no TLS on this port, rediss:// has to be redis://',
      );
    }));
});

describe('a Redis that speaks TLS', () => {
  const files = new CertificateFiles();
  let tls: readonly string[];
  let port: number;
  beforeAll(async () => {
    files.write(makeCertificate('redis'));
    port = await freePort();
    const { certFile, keyFile } = files;
    const trust = ['--tls-ca-cert-file', certFile, '--tls-auth-clients', 'no'];
    tls = ['--tls-port', String(port), '--tls-cert-file', certFile, '--tls-key-file', keyFile, ...trust];
  });
  afterAll(() => files[Symbol.dispose]());

  test('is told from one that does not', () =>
    withRedis(tls, async () => {
      await expect(opening(`redis://127.0.0.1:${port}`, 700)).rejects.toThrow(
        'if it speaks TLS on this port, redis:// has to be rediss://',
      );
    }));

  test('is not trusted without its authority', () =>
    withRedis(tls, async () => {
      await expect(opening(`rediss://127.0.0.1:${port}`)).rejects.toThrow(
        /^REDIS_URL: its certificate is not trusted: .*\(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
      );
    }));
});

test('a start waits for a Redis that is loading its data, for longer than for one that is away', async () => {
  await withRedis([], async (redis) => {
    const value = randomBytes(4_096).toString('base64');
    const keys = Array.from({ length: 200 }, (_, n) => [`key:${n}`, value]).flat();
    await command(redis, ['MSET', ...keys]);
    await command(redis, ['SAVE']);
    await redis.kill();
    // Four seconds in all.
    const slowly = ['--key-load-delay', '20000', '--loading-process-events-interval-bytes', '1024'];
    const restarting = redis.restart(slowly);
    const told: string[] = [];
    const onError = ({ message }: Error) => void told.push(message);
    try {
      await eventually('it loads', () => isLoading(redis));
      const options = { url: redis.url, connectTimeoutMs: 700, timeoutMs: 1_000, onError };
      const stores = await openRedisStore(options);
      expect(String(await stores.tokens.get('key:9'))).toBe(value);
      expect(told.at(-1)).toContain('it is still loading its data (LOADING)');
      await stores.close();
    } finally {
      await restarting;
    }
  });
});

function isLoading(redis: RedisServer): Promise<boolean> {
  return command(redis, ['GET', 'x']).then(
    () => false,
    ({ message }: Error) => message.startsWith('LOADING'),
  );
}

async function command(redis: RedisServer, words: readonly string[]): Promise<unknown> {
  const client = createClient({ url: redis.url, socket: { reconnectStrategy: false } }).on('error', () => {});
  await client.connect();
  try {
    return await client.sendCommand(words);
  } finally {
    client.destroy();
  }
}
