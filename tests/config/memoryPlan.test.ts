import { describe, expect, it } from '@jest/globals';
import { loadSettings, type Settings } from '../../config/config.ts';
import { settingsWarnings } from '../../config/report/warnings.ts';
import { type Machine, memoryLimitOf } from '../../config/sections/memoryLimit.ts';
import { heapAdvice, memoryLine } from '../../gateway/process/memory.ts';
import { JWT_SECRET } from '../support/gateway/settings.ts';

const MIB = 2 ** 20;
const GIB = 2 ** 30;

/** What Node reads of a control group without a limit. */
const UNLIMITED = 2 ** 64;

function limitedTo(mib: number): Machine {
  return { constrainedBytes: mib * MIB, totalBytes: 16 * GIB };
}

function load(env: NodeJS.ProcessEnv, machine: Machine): Settings {
  const readFile = (path: string) => {
    if (path.startsWith('gateway.')) throw Object.assign(new Error(path), { code: 'ENOENT' });
    return '';
  };
  return loadSettings({ JWT_SECRET, ...env }, readFile, machine);
}

function warningsOf(env: Readonly<Record<string, string>>, machine: Machine): string[] {
  const all = { JWT_SECRET, ...env };
  return settingsWarnings({ env: all, dotenv: {}, settings: load(env, machine) });
}

/** What everything comes to that may be full at the same time. */
function sumOf({ memory, cacheMaxBytes, maxConnections }: Settings): number {
  const { ownBytes, connectionBytes, rememberedBytes, gatheringBytes } = memory;
  return ownBytes + cacheMaxBytes + maxConnections * connectionBytes + rememberedBytes + gatheringBytes;
}

describe('memoryLimitOf', () => {
  it.each([
    ['a container', { constrainedBytes: 128 * MIB, totalBytes: 16 * GIB }, 128 * MIB],
    ['no limit', { constrainedBytes: UNLIMITED, totalBytes: 16 * GIB }, undefined],
    [
      'a limit above the memory that there is',
      { constrainedBytes: 32 * GIB, totalBytes: 16 * GIB },
      undefined,
    ],
    ['a system without control groups', { constrainedBytes: 0, totalBytes: 16 * GIB }, undefined],
  ])('of %s', (_name, machine, limitBytes) => {
    expect(memoryLimitOf(machine)).toBe(limitBytes);
  });
});

describe('defaults', () => {
  it.each([128, 192, 256, 512, 1024])('fit into a container of %d MiB', (mib) => {
    const settings = load({}, limitedTo(mib));
    expect(sumOf(settings)).toBeLessThan(mib * MIB);
    expect(warningsOf({}, limitedTo(mib)).join()).not.toMatch('MEMORY_LIMIT');
  });

  it('are larger in a larger container, and never than without a limit', () => {
    const [small, large, unlimited] = [128, 512, 1_000_000].map((mib) => load({}, limitedTo(mib)));
    expect(small?.cacheMaxBytes).toBe(10 * MIB);
    expect(small?.maxConnections).toBe(819);
    expect(large?.cacheMaxBytes).toBe(64 * MIB);
    expect(large?.maxConnections).toBe(8683);
    expect(unlimited?.cacheMaxBytes).toBe(64 * MIB);
    expect(unlimited?.maxConnections).toBe(20_000);
    expect(unlimited?.memory.heapBytes).toBeUndefined();
  });

  it('leave the cache in Redis as it is, and remember less of it here', () => {
    const env = { REDIS_URL: 'redis://redis' };
    expect(load(env, limitedTo(192)).cacheMaxBytes).toBe(64 * MIB);
    expect(load(env, limitedTo(192)).memory.rememberedBytes).toBeLessThan(16 * MIB);
    expect(load(env, limitedTo(1_000_000)).memory.rememberedBytes).toBe(32 * MIB);
  });

  it('divide what is kept in each thread among the workers', () => {
    const [one, four] = ['1', '4'].map((workers) => load({ WORKERS: workers }, limitedTo(1024)).memory);
    expect(four?.heapBytes).toBeLessThan((one?.heapBytes ?? 0) / 4);
    expect(four?.gatheringBytes).toBeLessThan(one?.gatheringBytes ?? 0);
  });

  it('follow MEMORY_LIMIT instead of the container', () => {
    const settings = load({ MEMORY_LIMIT: '256MiB' }, limitedTo(4096));
    expect(settings).toMatchObject({ ...load({}, limitedTo(256)) });
  });

  it('have room for the largest response that may be kept', () => {
    const { cacheMaxBytes, memory } = load({ CACHE_MAX_ENTRY_BYTES: '32MiB' }, limitedTo(128));
    expect(cacheMaxBytes).toBe(32 * MIB);
    expect(memory.gatheringBytes).toBe(32 * MIB);
  });
});

describe('what is set', () => {
  it('wins, and is warned of with its numbers when it cannot fit', () => {
    const env = { CACHE_MAX_BYTES: '64MiB', MAX_CONNECTIONS: '20000' };
    expect(load(env, limitedTo(128))).toMatchObject({ cacheMaxBytes: 64 * MIB, maxConnections: 20_000 });
    expect(warningsOf(env, limitedTo(128))).toContain(
      'The memory limit is 128 MiB, and the gateway may take 553 MiB: 88 MiB itself, 64 MiB for CACHE_MAX_BYTES, ' +
        '391 MiB for 20000 connections (MAX_CONNECTIONS), 10 MiB for what it remembers',
    );
  });

  it('is not warned of where it fits', () => {
    const env = { CACHE_MAX_BYTES: '64MiB', MAX_CONNECTIONS: '10000' };
    expect(warningsOf(env, limitedTo(512)).join()).not.toMatch('memory limit');
  });

  it('is warned of when it is more workers than there is memory for', () => {
    expect(warningsOf({ WORKERS: '4' }, limitedTo(256)).join()).toMatch(
      'The memory limit is 256 MiB, and the gateway may take 386 MiB: 375 MiB itself with 4 workers',
    );
  });
});

describe('the log', () => {
  it('says at the start what the memory is for', () => {
    expect(memoryLine(load({}, limitedTo(128)), 64 * MIB)).toBe(
      "Memory: limit 128 MiB, V8's heap up to 64 MiB, cache up to 10 MiB, 819 connections on each port",
    );
    const many = load({ MAX_CONNECTIONS: '0', REDIS_URL: 'redis://redis' }, limitedTo(1_000_000));
    expect(memoryLine(many, 4 * GIB)).toBe(
      "Memory: no limit, V8's heap up to 4,096 MiB, cache up to 64 MiB in Redis, any number of connections on each port",
    );
  });

  it('tells how to limit a heap that may outgrow the memory', () => {
    const { memory } = load({}, limitedTo(128));
    expect(heapAdvice(memory, 262 * MIB)).toBe(
      'V8 may let its heap grow to 262 MiB, and the memory limit is 128 MiB: set ' +
        'NODE_OPTIONS=--max-old-space-size=57',
    );
    expect(heapAdvice(memory, 64 * MIB)).toBeUndefined();
    expect(heapAdvice(load({}, limitedTo(1_000_000)).memory, 4 * GIB)).toBeUndefined();
  });
});
