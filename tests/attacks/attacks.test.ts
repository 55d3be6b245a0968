import { describe, expect, test } from '@jest/globals';
import { FlagError, parseFlags } from '../../config/commandLine/flags.ts';
import { attacks } from './attacks.ts';
import { ATTACKS_COMMAND } from './command.ts';
import type { Trial } from './trial.ts';
import { judge } from './verdict.ts';

const MIB = 1024 ** 2;

function trial(parts: Partial<Trial> = {}): Trial {
  return { p50Ms: 1, p99Ms: 10, failures: [], hitRatio: 1, peakRssBytes: 100 * MIB, ...parts };
}

describe('the verdict on attacks', () => {
  test('holds when the other user notices nothing', () => {
    expect(judge([{ harmless: trial(), attack: trial({ p99Ms: 14.9 }) }]).complaints).toEqual([]);
  });

  test.each<[string, Partial<Trial>, RegExp]>([
    ['a failed request', { failures: ['1 x GET /shop/ok 503'] }, /^failed: 1 x GET/],
    ['slow responses', { p99Ms: 16 }, /1\.60 times/],
    ['lost hits', { hitRatio: 0.9 }, /10 % of its hits/],
    ['memory', { peakRssBytes: 400 * MIB }, /300 MiB more/],
  ])('complains of %s', (_what, attack, complaint) => {
    expect(judge([{ harmless: trial(), attack: trial(attack) }]).complaints).toEqual([
      expect.stringMatching(complaint),
    ]);
  });

  test('takes the median of all pairs, so that one stall of the machine says nothing', () => {
    const quiet = { harmless: trial(), attack: trial() };
    expect(judge([quiet, { ...quiet, attack: trial({ p99Ms: 500 }) }, quiet]).complaints).toEqual([]);
  });
});

describe('the flags of the attacks', () => {
  const parse = (...args: string[]) => parseFlags(ATTACKS_COMMAND, args);

  test('choose attacks by words of their names, or by the number of the finding', () => {
    expect(parse('--only', 'login').only).toEqual(['slow uploads to the login']);
    expect(parse('--only', '7').only.length).toBeGreaterThan(1);
    expect(parse().only).toEqual(Object.keys(attacks));
  });

  test.each([['--only', 'nothing like it'], ['--seconds', '0'], ['--pairs', 'x'], ['--unknown']])(
    'refuse %s %s',
    (...args) => {
      expect(() => parse(...args)).toThrow(FlagError);
    },
  );
});
