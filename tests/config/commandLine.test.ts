import { describe, expect, it } from '@jest/globals';
import {
  choice,
  FlagError,
  helpOf,
  names,
  number,
  onOff,
  optionalNumber,
  parseCommand,
  parseFlags,
  text,
} from '../../config/commandLine/flags.ts';

const flags = {
  only: names('one,two', ['one', 'two', 'seventeen'], 'thing', 'just these'),
  warmUp: number(30, { min: 0, max: 100, whole: true }, 'seconds\nof load'),
  seed: optionalNumber('N', { min: 1, max: 9 }, 'where to begin'),
  kind: choice(undefined, ['request', 'response'], 'only these'),
  list: onOff('name them'),
  json: text('FILE', 'where it goes'),
};
const command = { about: 'Does it.', usage: ['npm run it --', 'node it.ts'], flags, notes: 'Exit code 1.' };
const parse = (...args: string[]) => parseFlags(command, args);

describe('the flags of a command', () => {
  it('have defaults', () => {
    const nothing = { only: [], warmUp: 30, seed: undefined, kind: undefined, list: false, json: undefined };
    expect(parse()).toEqual({ ...nothing, help: false });
  });

  it('are read, those of a list one by one or by commas, of others the last', () => {
    expect(parse('--only', 'one,two', '--only=seventeen', '--warm-up', '0', '--warm-up=7')).toMatchObject({
      only: ['one', 'two', 'seventeen'],
      warmUp: 7,
    });
    expect(parse('--seed', '1.5', '--kind=response', '--list', '--json', 'x', '-h')).toMatchObject({
      seed: 1.5,
      kind: 'response',
      list: true,
      json: 'x',
      help: true,
    });
  });

  it.each([
    [
      ['--only', 'sevnteen'],
      '--only knows no thing "sevnteen" (did you mean seventeen?); the things are one, two, sev',
    ],
    [['--warm-up', '1.5'], '--warm-up must be a whole number from 0 to 100, got "1.5"'],
    [['--warm-up='], 'got ""'],
    [['--seed', '0'], '--seed must be a number from 1 to 9, got "0"'],
    [['--seed', '1e0'], 'got "1e0"'],
    [['--kind', 'both'], '--kind must be request or response, got "both"'],
    [['--warmUp', '1'], "Unknown option '--warmUp'"],
    [['--list=no'], '--list'],
    [['word'], "'word'"],
  ])('refuse %j', (args, message) => {
    expect(() => parse(...args)).toThrow(FlagError);
    expect(() => parse(...args)).toThrow(message);
  });

  it('leave words to a command that wants some', () => {
    expect(parseCommand({ flags, words: '[WORD]' }, ['a', '--list', 'b'])).toMatchObject({
      values: { list: true },
      words: ['a', 'b'],
    });
  });

  it('are all in the help, in columns', () => {
    expect(helpOf({ ...command, words: '[WORD]' })).toBe(`Does it.

Usage: npm run it -- [flags] [WORD]      or      node it.ts [flags] [WORD]

  --only one,two           just these
  --warm-up 30             seconds
                           of load
  --seed N                 where to begin
  --kind request|response  only these
  --list                   name them
  --json FILE              where it goes
  --help                   this text

Exit code 1.`);
  });
});
