import { describe, expect, it } from '@jest/globals';
import { SIZING_COMMAND } from '../../bench/sizing/command.ts';
import { POINTS, SUBJECTS } from '../../bench/sizing/points.ts';
import { parseFlags } from '../../config/commandLine/flags.ts';

describe('bench:sizing', () => {
  it('measures everything with a limit of 1 GiB by default', () => {
    expect(parseFlags(SIZING_COMMAND, [])).toEqual({ help: false, only: [], limit: 2 ** 30 });
  });

  it('measures some of it', () => {
    expect(parseFlags(SIZING_COMMAND, ['--only', 'idle,cache', '--limit', '256MiB'])).toMatchObject({
      only: ['idle', 'cache'],
      limit: 256 * 2 ** 20,
    });
  });

  it.each([
    [['--only', 'idel'], '--only knows no subject "idel"; the subjects are rest, idle, active, cache'],
    [['--limit', '1 GB'], '--limit must be a size such as 512MiB, got "1 GB"'],
    [['--nothing'], "Unknown option '--nothing'"],
  ])('refuses %j', (args, message) => {
    expect(() => parseFlags(SIZING_COMMAND, args)).toThrow(message);
  });

  it('has points for each subject', () => {
    expect(new Set(POINTS.map(({ subject }) => subject))).toEqual(new Set(SUBJECTS));
  });
});
