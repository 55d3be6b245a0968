import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { Authenticator } from '../../../lib/auth/authenticator.ts';
import type { TokenRegistry } from '../../../lib/auth/revocation/tokenRegistry.ts';
import type { VerifiedToken } from '../../../lib/auth/tokens/verifier.ts';
import type { CacheRequest } from '../../../lib/cache/fetch/cacheRequest.ts';
import { RecentOutcomes } from '../../../lib/cache/fetch/recentOutcomes.ts';
import { Heads } from '../../../lib/cache/rules/heads.ts';
import { Policy } from '../../../lib/cache/rules/policy.ts';
import { Entries } from '../../../lib/cache/stored/entries.ts';
import { encodeEntry } from '../../../lib/cache/stored/entry.ts';
import { Epochs } from '../../../lib/cache/stored/epochs.ts';
import { Invalidations } from '../../../lib/cache/stored/invalidations.ts';
import { ANONYMOUS, Keys } from '../../../lib/cache/stored/key.ts';
import { PURGE_LOG_KEY, Purges } from '../../../lib/cache/stored/purge.ts';
import { systemClock } from '../../../lib/clock/clock.ts';
import { CodedContents } from '../../../lib/compression/codedContents.ts';
import { CoderLimit } from '../../../lib/compression/coderLimit.ts';
import type { Coder } from '../../../lib/compression/codings.ts';
import { compressibleTypes } from '../../../lib/compression/rules/mediaTypes.ts';
import { CappedCounter } from '../../../lib/metrics/series/counter.ts';
import { Exemplars } from '../../../lib/metrics/series/exemplars.ts';
import { fieldNames } from '../../../lib/proxy/fieldNames.ts';
import { LocalCounter } from '../../../lib/ratelimit/localCounter.ts';
import { RefusingCounter } from '../../../lib/ratelimit/refusals.ts';
import { Channels } from '../../../lib/store/channels.ts';
import { MemoryStore } from '../../../lib/store/memory/memory.ts';
import { Sightings } from '../../../lib/store/memory/sightings.ts';
import { LocalCache } from '../../../lib/store/redis/localCache.ts';
import { SqliteStore } from '../../../lib/store/sqlite/sqlite.ts';
import type { ResponseStore } from '../../../lib/store/store.ts';
import { memoryOf } from '../processes/memoryOf.ts';

const MIB = 2 ** 20;
const LONG = 'x'.repeat(8_192);
const HEAD = {
  status: 200,
  terms: { lifetimeMs: 1, isShared: true, mayBeStale: true, staleWhileRevalidateMs: 0, staleIfErrorMs: 0 },
  generatedAtMs: 1,
  purgeVersion: 0,
  audience: 'anonymous',
  body: Buffer.alloc(0),
};

/** The n-th of many values, of 8 KiB when it is `long`; no two share memory. */
type Name = (n: number) => string;

/** Puts the n-th value in; what it returns is kept alive. */
type Fill = (n: number, name: Name) => unknown;

const away = async () => {
  throw new Error('away');
};

/** Everything in the process that grows with what clients send, but for requests under way. */
const MAPS: Readonly<Record<string, () => Fill | { readonly fill: Fill; close(): void }>> = {
  'recent outcomes'() {
    const recent = new RecentOutcomes(systemClock);
    return (n, name) => {
      const lookup = { resource: { service: '/a', target: name(n) } };
      const request = { lookup, audienceFor: () => ANONYMOUS } as unknown as CacheRequest;
      recent.learn(request, { kind: 'nothing', because: 'unstorable' });
      return recent;
    };
  },
  judgements() {
    const policy = new Policy(30_000);
    return (n, name) => [policy, policy.termsOf(200, { 'cache-control': `max-age=1, x="${name(n)}"` }, 0)];
  },
  epochs() {
    const epochs = new Epochs();
    return (n, name) => [epochs, epochs.proposed(name(n), 0)];
  },
  'owed invalidations'() {
    const store = { renew: away } as unknown as ResponseStore;
    const purges = new Purges({ store, now: Date.now });
    const invalidations = new Invalidations({ store, purges, epochs: new Epochs(), now: Date.now });
    return (n, name) => {
      invalidations.add('/a', name(n)).catch(() => {});
      return invalidations;
    };
  },
  'parsed heads'() {
    const peek = (key: string) => {
      if (key === PURGE_LOG_KEY) return { value: undefined };
      if (key.startsWith('cache:epoch:')) return { value: Buffer.from('epoch') };
      const fields = Array.from({ length: 500 }, (_, i) => `${i}`);
      return { value: encodeEntry({ ...HEAD, fields: [...fields, 'x', key] }) };
    };
    const store = { peek, isShared: true } as unknown as ResponseStore;
    const entries = new Entries({ store, now: Date.now, staleIfErrorMs: 0, onError: () => {} });
    return (n, name) => {
      if (n > 20_000) return entries;
      const resource = { service: '/a', authority: 'a', target: name(n) };
      const selecting = { rawHeaders: [], identity: undefined };
      return [
        entries,
        entries.findNow({ resource, keys: new Keys(resource), audiences: [ANONYMOUS], selecting })?.missing,
      ];
    };
  },
  'the head before'() {
    const heads = new Heads();
    return (n, name) => [heads, heads.read([name(n), 'a', 'X-Own', name(n)]).stored.length];
  },
  'spellings of field names'() {
    const nameOf = fieldNames((lower) => lower.length);
    return (n, name) => [nameOf, nameOf(name(n)).role];
  },
  sightings() {
    const sightings = new Sightings(2 ** 16);
    return (n, name) => [sightings, sightings.see(name(n))];
  },
  'responses in memory'() {
    const store = memory();
    return (n, name) => {
      void store.set(name(n), 'v', 60_000, { owner: `owner ${n % 1_000}` });
      return store;
    };
  },
  'responses in memory, each of another owner'() {
    const store = memory();
    return (n, name) => {
      void store.set(`key ${n}`, 'v', 60_000, { owner: name(n) });
      return store;
    };
  },
  'what is remembered of Redis'() {
    const local = new LocalCache<Buffer | undefined>({
      maxBytes: 16 * MIB,
      maxAgeMs: 10_000,
      clock: systemClock,
    });
    return (n, name) => {
      void local.load(name(n), async () => undefined);
      return local;
    };
  },
  'what is remembered of SQLite'() {
    const dataDir = mkdtempSync(join(tmpdir(), 'gateway-fill-'));
    const store = new SqliteStore({
      dataDir,
      channels: new Channels(() => {}),
      clock: systemClock,
      onError: () => {},
      changes: undefined,
    });
    return {
      fill: (n, name) => (n > 200_000 ? store : [store, void store.get(name(n))]),
      close() {
        store.close();
        rmSync(dataDir, { recursive: true });
      },
    };
  },
  'verified tokens'() {
    const verified = (token: string) => ({
      token,
      subject: token.slice(0, 40),
      key: createHash('md5').update(token).digest('hex'),
      claims: token.slice(0, 200),
      names: [token.slice(0, 40), token.slice(40, 80)],
      acceptedUntilMs: Number.POSITIVE_INFINITY,
    });
    const authenticator = new Authenticator({
      verify: async (token) => verified(token) as unknown as VerifiedToken,
      registry: {
        activeTtlMs: 60_000,
        activate: async () => {},
        revokedBy: async () => undefined,
        knownRevoked: () => false,
      } as unknown as TokenRegistry,
    });
    return (n, name) => {
      if (n <= 300_000) void authenticator.authenticate(name(n));
      return authenticator;
    };
  },
  'rate limits'() {
    const counter = new LocalCounter();
    const rate = { requests: 10, windowMs: 600_000, burst: 10 };
    return (n, name) => {
      counter.take([{ key: name(n), rate }]);
      return counter;
    };
  },
  'refusals by rate limits'() {
    const rate = { requests: 1, windowMs: 600_000, burst: 1 };
    const refusal = { refusedBy: 0, retryAfterMs: 600_000, standings: [{ remaining: 0, resetMs: 600_000 }] };
    const counter = new RefusingCounter({ take: async () => refusal });
    return (n, name) => {
      void counter.take([{ key: name(n), rate }]);
      return counter;
    };
  },
  'compressed copies'() {
    const limit = new CoderLimit({ most: 100_000, mostOfOne: 1 });
    // Real coders would make the values small, and take minutes.
    const create = () => new PassThrough() as unknown as Coder;
    const copies = new CodedContents({ maxBytes: 16 * MIB, limit, create });
    return (n, name) => {
      if (n < 60_000) void copies.find(Buffer.from(name(n)), 'gzip', 1, 'somebody');
      return copies;
    };
  },
  'media types'() {
    const isCompressible = compressibleTypes(undefined);
    return (n, name) => [isCompressible, isCompressible(`text/plain; x=${name(n)}`)];
  },
  'series of metrics'() {
    const counter = new CappedCounter({
      name: 'filled_total',
      help: 'Filled.',
      labels: ['name'],
      maxSeries: 1_000,
      registry: new Registry(),
    });
    return (n, name) => {
      counter.count(name(n).slice(0, 100));
      return counter;
    };
  },
  exemplars() {
    const exemplars = new Exemplars({ histogram: 'h', labels: ['name'], buckets: [1], maxSeries: 1_000 });
    return (n, name) => {
      exemplars.keep(1, 'trace', name(n).slice(0, 100));
      return exemplars;
    };
  },
};

function memory(): MemoryStore {
  return new MemoryStore({ maxBytes: 16 * MIB, channels: new Channels(() => {}), clock: systemClock });
}

/** What is left once collecting frees nothing more: buffers are given back some time after the collection. */
async function usedBytes(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (;;) {
    globalThis.gc?.();
    await nextTurn();
    const { heapUsed, external } = process.memoryUsage();
    if (heapUsed + external > least - MIB / 8) return Math.min(least, heapUsed + external);
    least = heapUsed + external;
  }
}

/** How much the map has grown by `count` values. Promises have their turn in between. */
async function grownBytes(fill: Fill, count: number, name: Name): Promise<number> {
  const before = await usedBytes();
  let kept: unknown;
  let most = 0;
  for (let n = 0; n < count; n += 1) {
    kept = fill(n, name);
    if (n % 500 === 0) await nextTurn();
    if (n % (count / 4) === 0) most = Math.max(most, (await usedBytes()) - before);
  }
  most = Math.max(most, (await usedBytes()) - before);
  if (kept === undefined) throw new Error('nothing was filled');
  return most;
}

/** A string of its own, flat, of which no other is a part. */
const long: Name = (n) => Buffer.from(`/${n}/${LONG}`, 'latin1').toString('latin1');
const short: Name = (n) => `/a/${n}`;

const [which = ''] = process.argv.slice(2);
const made = MAPS[which]?.();
if (!made) {
  process.stdout.write(JSON.stringify(Object.keys(MAPS)));
} else {
  const { fill, close } = typeof made === 'function' ? { fill: made, close: () => {} } : made;
  const manyBytes = await grownBytes(fill, 200_000, short);
  const longBytes = await grownBytes(fill, 30_000, long);
  close();
  const grown = { manyBytes, longBytes, peakRssBytes: memoryOf(process.pid, 'VmHWM') };
  process.stdout.write(JSON.stringify(grown), () => process.exit());
}
