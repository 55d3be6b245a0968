import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { Channels } from '../../../../lib/store/channels.ts';
import { MemoryStore } from '../../../../lib/store/memory/memory.ts';
import {
  type ResponseChange,
  SwapPlace,
  ThreadsMemoryStore,
} from '../../../../lib/store/memory/threadsMemory.ts';
import { CHANGES, SqliteStore } from '../../../../lib/store/sqlite/sqlite.ts';
import { SharedCells } from '../../../../lib/threads/sharedCells.ts';
import { ManualClock } from '../../../support/manualClock.ts';

const MINUTE_MS = 60_000;

describe('one file of tokens, open in two threads', () => {
  it('shows each at once what the other has written or removed, although no time passes', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'gateway-threads-'));
    const buffer = SharedCells.allocate(CHANGES);
    const clock = new ManualClock();
    const open = (threadNumber: number) =>
      new SqliteStore({
        dataDir,
        channels: new Channels(() => {}),
        clock,
        onError: () => {},
        changes: { cells: new SharedCells(buffer, threadNumber), threadNumber, threadCount: 2 },
      });
    const [one, other] = [open(0), open(1)];
    expect(await one.get('blacklist:x')).toBeUndefined();
    expect(one.peek('blacklist:x')).toBeDefined();
    await other.set('blacklist:x', '1', MINUTE_MS);
    expect(one.peek('blacklist:x')).toBeUndefined();
    expect(String(await one.get('blacklist:x'))).toBe('1');
    await other.putInGroup('revocations', 'r1', 'all of them');
    expect((await one.getGroup('revocations')).map(({ value }) => String(value))).toEqual(['all of them']);
    await other.removeFromGroup('revocations', 'r1');
    expect(await one.getGroup('revocations')).toEqual([]);
    // What one writes itself makes it forget nothing else.
    await one.get('kept');
    await one.set('another', '1', MINUTE_MS);
    expect(one.peek('kept')).toBeDefined();
    for (const store of [one, other]) store.close();
    rmSync(dataDir, { recursive: true });
  });
});

/** Threads' memories whose messages arrive when the test says so, all in one order. */
class Threads {
  readonly clock = new ManualClock();
  readonly stores: ThreadsMemoryStore[] = [];
  readonly place = new SwapPlace(this.#memory());
  readonly #hear: ((change: ResponseChange) => void)[] = [];
  readonly #underWay: { readonly from: number | undefined; readonly change: ResponseChange }[] = [];

  constructor(count: number) {
    for (let i = 0; i < count; i += 1) this.begin();
  }

  /** One more thread, which is told what was agreed on before. */
  begin(): ThreadsMemoryStore {
    const from = this.stores.length;
    const store = new ThreadsMemoryStore(this.#memory(), {
      tell: (change) => this.#underWay.push({ from, change }),
      swap: async (swap) => {
        const swapped = await this.place.swap(swap);
        const { value, ttlMs, owner } = swapped;
        const change = { kind: 'set', key: swap.key, value, ttlMs, owner } as const;
        if (swapped.isNew) this.#underWay.push({ from: undefined, change });
        return swapped;
      },
      listen: (hear) => {
        this.#hear.push(hear);
        for (const change of this.place.changes) hear(change);
      },
    });
    this.stores.push(store);
    return store;
  }

  async deliver(): Promise<void> {
    for (const { from, change } of this.#underWay.splice(0)) {
      if (change.kind === 'delete') await this.place.delete(change.key);
      for (const [to, hear] of this.#hear.entries()) {
        if (to !== from || change.kind === 'delete') hear(change);
      }
    }
  }

  #memory(): MemoryStore {
    return new MemoryStore({ maxBytes: 1_000_000, channels: new Channels(() => {}), clock: this.clock });
  }
}

async function seen(threads: Threads, key: string): Promise<(string | undefined)[]> {
  return Promise.all(threads.stores.map(async (store) => (await store.get(key))?.toString()));
}

describe('a memory of three threads', () => {
  it('has in each what one has stored, in the same bytes, for as long', async () => {
    const threads = new Threads(3);
    await threads.stores[0]?.set('answer', 'of a service', MINUTE_MS);
    expect(await seen(threads, 'answer')).toEqual(['of a service', undefined, undefined]);
    await threads.deliver();
    expect(await seen(threads, 'answer')).toEqual(Array(3).fill('of a service'));
    const [one, other] = await Promise.all(threads.stores.map((store) => store.get('answer')));
    expect(other?.buffer).toBe(one?.buffer);
    expect(one?.buffer).toBeInstanceOf(SharedArrayBuffer);
    threads.clock.advance(MINUTE_MS);
    expect(await seen(threads, 'answer')).toEqual(Array(3).fill(undefined));
  });

  it('lets one of those who swap at a time win, and all learn who', async () => {
    const threads = new Threads(3);
    const swaps = threads.stores.map((store, i) => store.swap('lease', undefined, `of ${i}`, MINUTE_MS));
    const inForce = (await Promise.all(swaps)).map(String);
    expect(new Set(inForce)).toEqual(new Set(['of 0']));
    await threads.deliver();
    expect(await seen(threads, 'lease')).toEqual(Array(3).fill('of 0'));
  });

  it('forgets what one has deleted, although an older value was on its way to that one', async () => {
    const threads = new Threads(2);
    const [one, other] = threads.stores as [ThreadsMemoryStore, ThreadsMemoryStore];
    await other.swap('epoch', undefined, 'old', MINUTE_MS);
    await one.delete('epoch');
    await threads.deliver();
    expect(await seen(threads, 'epoch')).toEqual([undefined, undefined]);
    expect(String(await one.swap('epoch', undefined, 'new', MINUTE_MS))).toBe('new');
  });

  it('tells one that begins later what was agreed on', async () => {
    const threads = new Threads(1);
    await threads.stores[0]?.swap('purges', undefined, 'everything', MINUTE_MS);
    expect(String(await threads.begin().get('purges'))).toBe('everything');
  });
});
