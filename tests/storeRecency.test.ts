import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { LRUCache } from 'lru-cache';
import { Recency } from '../lib/store/recency.ts';

const MAX_BYTES = 20;
const step = fc.record({
  does: fc.constantFrom('set' as const, 'get' as const, 'peek' as const, 'delete' as const),
  key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
  bytes: fc.integer({ min: 1, max: 24 }),
});

describe('values within a bound', () => {
  it('are those that lru-cache would keep', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const ours = new Recency<number>(MAX_BYTES);
        const theirs = new LRUCache<string, number>({
          maxSize: MAX_BYTES,
          sizeCalculation: (bytes) => bytes,
        });
        for (const { does, key, bytes } of steps) {
          if (does === 'set') {
            ours.set(key, bytes, { bytes, expiresAtTicks: 0 });
            theirs.set(key, bytes);
          } else if (does === 'delete') {
            ours.delete(key);
            theirs.delete(key);
          } else expect(ours[does](key)?.value).toBe(theirs[does](key));
          const kept = [...ours.values()].map(({ key: one, value }) => [one, value]).sort();
          expect(kept).toEqual([...theirs.entries()].sort());
          expect([ours.size, ours.bytes]).toEqual([theirs.size, theirs.calculatedSize]);
        }
      }),
    );
  });

  it('are gone once they are cleared', () => {
    const values = new Recency<number>(MAX_BYTES);
    values.set('a', 1, { bytes: 1, expiresAtTicks: 0 });
    values.clear();
    expect([values.get('a'), values.size, values.bytes]).toEqual([undefined, 0, 0]);
    values.set('b', 2, { bytes: 20, expiresAtTicks: 0 });
    expect(values.get('b')?.value).toBe(2);
  });
});
