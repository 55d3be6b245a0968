import { describe, expect, it } from '@jest/globals';
import { type Collection, spentBuffers } from '../../../gateway/process/spentBuffers.ts';

const MEBIBYTE = 2 ** 20;

describe('spentBuffers', () => {
  it('collects once for each 16 MiB that have passed', () => {
    let collections = 0;
    const { passed } = spentBuffers({
      collect: () => {
        collections += 1;
      },
    });
    passed(15 * MEBIBYTE);
    expect(collections).toBe(0);
    passed(MEBIBYTE);
    expect(collections).toBe(1);
    passed(16 * MEBIBYTE - 1);
    expect(collections).toBe(1);
    passed(1);
    expect(collections).toBe(2);
  });

  it('has a collector of its own, and gives no script one', () => {
    expect(() => spentBuffers().passed(16 * MEBIBYTE)).not.toThrow();
    expect(globalThis).not.toHaveProperty('gc');
  });

  it('collects everything once for each 16 MiB that threads share, which V8 does not count', () => {
    const collections: Collection[] = [];
    const { shared } = spentBuffers({ collect: (type) => void collections.push(type), everyBytes: MEBIBYTE });
    shared(15 * MEBIBYTE);
    expect(collections).toEqual([]);
    shared(MEBIBYTE);
    expect(collections).toEqual(['major']);
    shared(15 * MEBIBYTE);
    expect(collections).toEqual(['major']);
  });

  it('collects everything past a bound, and again only when as much has come as passes in between', () => {
    const collections: Collection[] = [];
    let heldBytes = 60 * MEBIBYTE;
    const { look, passed } = spentBuffers({
      collect: (type) => void collections.push(type),
      everyBytes: 4 * MEBIBYTE,
      mostHeldBytes: 64 * MEBIBYTE,
      heldBytes: () => heldBytes,
    });
    look();
    expect(collections).toEqual([]);
    heldBytes = 70 * MEBIBYTE;
    look();
    expect(collections).toEqual(['major']);
    // What is still in use is not collected over and over.
    look();
    expect(collections).toEqual(['major']);
    heldBytes = 75 * MEBIBYTE;
    passed(4 * MEBIBYTE);
    expect(collections).toEqual(['major', 'minor', 'major']);
  });
});
