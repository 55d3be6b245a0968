import { describe, expect, it } from '@jest/globals';
import { FlagError } from '../../config/commandLine/flags.ts';
import { parseFlags } from './flags.ts';
import { mutantsOf, mutated } from './mutants.ts';
import { Imports, mirrorOf, sourcesAt, testsIn } from './related.ts';

/** Each faulty form of the source. */
const formsOf = (source: string) => mutantsOf(source).map((mutant) => mutated(source, mutant));

describe('the faults that are put into a source', () => {
  it.each([
    ['x = a < b;', ['x = a <= b;']],
    ['x = a /* < */ >= b;', ['x = a /* < */ > b;']],
    ['x = a === b && c;', ['x = a !== b && c;', 'x = a === b || c;']],
    ['x = a ?? b;', ['x = a;']],
    ['x = !a;', ['x = a;']],
    ['x += a;', ['x -= a;']],
    ['x = Math.min(a, b);', ['x = Math.max(a, b);']],
    ["x = 'é' + 'y';", ["x = '' + 'y';", "x = 'é' - 'y';", "x = 'é' + '';"]],
    ['x = `a`;', ["x = '';"]],
    ['x = y++;', ['x = y--;']],
    ['x = a ? b : c;', ['x = !(a) ? b : c;']],
    ['x = 1_000;', ['x = 1001;']],
    ['x = true;', ['x = false;']],
    ['x = () => a;', ['x = () => (undefined as never);']],
  ])('%s', (source, expected) => {
    // The statement can be left out as well.
    expect(formsOf(source)).toEqual([';', ...expected]);
  });

  it('negate conditions, empty what is returned and leave out statements', () => {
    const source = 'function f(a: number) {\n  if (a) g();\n  return a;\n}\n';
    expect(formsOf(source)).toEqual([
      source.replace('(a) g', '(!(a)) g'),
      source.replace('g();', ';'),
      source.replace('return a', 'return undefined as never'),
    ]);
    expect(mutantsOf(source).map(({ line, change }) => `${line} ${change}`)).toEqual([
      '2 a → !(a)',
      '2 without g();',
      '3 a → undefined as never',
    ]);
  });

  it('are in no type, import or name of a property', () => {
    const source =
      "import a from 'a';\ntype B = 'b' | 1;\nexport const c: Record<'x', 2> = { 'd-e': a };\nexport * from 'f';\n";
    expect(mutantsOf(source)).toEqual([]);
  });
});

describe('what is run for a path', () => {
  it('is the tests that import the source, in the folder that mirrors it', () => {
    const [source, folder] = ['lib/timeout/middleware.ts', 'tests/lib/timeout'];
    expect(sourcesAt('lib/timeout')).toContain(source);
    expect(mirrorOf(source)).toBe(folder);
    const imports = new Imports();
    expect(testsIn([folder]).filter((test) => imports.reachedBy(test).has(source))).toContain(
      'tests/lib/timeout/timeout.test.ts',
    );
  });
});

describe('its flags', () => {
  it.each([[[]], [['lib', '--minutes=soon']], [['lib', '--workers=0']], [['lib', '--sed=1']]])(
    'refuse %j',
    (args) => expect(() => parseFlags(args)).toThrow(FlagError),
  );

  it('are read', () => {
    expect(parseFlags(['./lib/cache/', '--with', 'tests/composition', '--seed', '7'])).toEqual({
      help: false,
      list: false,
      paths: ['lib/cache'],
      with: ['tests/composition'],
      minutes: 10,
      seed: 7,
      workers: 2,
    });
  });
});
