import { describe, expect, it } from '@jest/globals';
import { spentBuffers } from '../gateway/spentBuffers.ts';

const MEBIBYTE = 2 ** 20;

describe('spentBuffers', () => {
  it('collects once for each 16 MiB that have passed', () => {
    let collections = 0;
    const passed = spentBuffers(() => {
      collections += 1;
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
    expect(() => spentBuffers()(16 * MEBIBYTE)).not.toThrow();
    expect(globalThis).not.toHaveProperty('gc');
  });
});
