import { describe, expect, it } from '@jest/globals';
import { parseFlags } from '../../config/commandLine/flags.ts';
import { SOAK_COMMAND } from '../soak/command.ts';
import type { Sample } from '../soak/samples.ts';
import { complaints } from '../soak/verdict.ts';
import { visitors } from '../soak/visitors.ts';
import { run } from '../support/processes/command.ts';

const MAIN = new URL('../soak/main.ts', import.meta.url).pathname;
const WITHIN_MS = 180_000;
const MIB = 1024 ** 2;

/** Nine samples, the n-th changed as said. */
function samples(change: (n: number) => Partial<Sample> = () => ({})): Sample[] {
  const steady = { rssBytes: 100 * MIB, heapBytes: 30 * MIB, descriptors: 40, sockets: 20, timers: 30 };
  return Array.from({ length: 9 }, (_, n) => ({
    ...{ ...steady, atMs: n * 1000, visits: n, series: 400, held: 0 },
    ...change(n),
  }));
}

const judge = (all: readonly Sample[]) => complaints(all, 50, new Map());

describe('a soak', () => {
  it(
    'of twelve seconds finds nothing',
    async () => {
      const { stdout } = await run(process.execPath, [
        ...[MAIN, '--minutes', '0.2', '--samples', '6', '--clients', '20'],
      ]);
      expect(String(stdout)).toContain('Nothing grows, and nobody was surprised.');
    },
    WITHIN_MS,
  );

  it('is content with what stays', () => {
    expect(judge(samples())).toEqual([]);
  });

  it('is content with a status that was met late', () => {
    expect(judge(samples((n) => ({ series: n < 7 ? 400 : 402 })))).toEqual([]);
  });

  it.each<{ what: string; change: (n: number) => Partial<Sample> }>([
    { what: 'rssBytes', change: (n) => ({ rssBytes: (100 + n * 20) * MIB }) },
    { what: 'heapBytes', change: (n) => ({ heapBytes: (30 + n * 5) * MIB }) },
    { what: 'descriptors', change: (n) => ({ descriptors: 40 + n * 30 }) },
    { what: 'sockets', change: (n) => ({ sockets: 20 + n * 30 }) },
    { what: 'timers', change: (n) => ({ timers: 30 + n * 30 }) },
    { what: 'series', change: (n) => ({ series: 400 + 2 * n }) },
    { what: '1 held', change: (n) => ({ held: n === 4 ? 1 : 0 }) },
  ])('complains of $what', ({ what, change }) => {
    expect(judge(samples(change))).toEqual([expect.stringContaining(what)]);
  });

  it('complains of a response that nobody expects', () => {
    expect(complaints(samples(), 50, new Map([['posts: 502', 2]]))).toEqual(['not expected: 2 x posts: 502']);
  });

  it('has a thousand visits to hand out', () => {
    const shares = Object.values(visitors).map(({ share }) => share);
    expect(shares.reduce((sum, share) => sum + share)).toBe(1000);
  });

  it.each([['--minutes', 'soon'], ['--samples', '2'], ['--colour']])('refuses %s %s', (...args) => {
    expect(() => parseFlags(SOAK_COMMAND, args)).toThrow(args[0]);
  });
});
