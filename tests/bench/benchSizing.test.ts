import { describe, expect, it } from '@jest/globals';
import { parseSizingFlags } from '../../bench/sizing/flags.ts';
import { POINTS, SUBJECTS } from '../../bench/sizing/points.ts';

describe('bench:sizing', () => {
  it('measures everything with a limit of 1 GiB by default', () => {
    expect(parseSizingFlags([])).toEqual({ help: false, only: SUBJECTS, limitBytes: 2 ** 30 });
  });

  it('measures some of it', () => {
    expect(parseSizingFlags(['--only', 'idle,cache', '--limit', '256MiB'])).toMatchObject({
      only: ['idle', 'cache'],
      limitBytes: 256 * 2 ** 20,
    });
  });

  it.each([
    [['--only', 'idel'], '--only knows no subject "idel"; the subjects are rest, idle, active, cache'],
    [['--limit', '1 GB'], '--limit must be a size such as 512MiB, got "1 GB"'],
    [['--nothing'], "Unknown option '--nothing'"],
  ])('refuses %j', (args, message) => {
    expect(() => parseSizingFlags(args)).toThrow(message);
  });

  it('has points for each subject', () => {
    expect(new Set(POINTS.map(({ subject }) => subject))).toEqual(new Set(SUBJECTS));
  });
});
