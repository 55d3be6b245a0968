import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { FlagError, parseFlags } from '../../config/commandLine/flags.ts';
import { FUZZ_COMMAND } from '../fuzz/command.ts';

const ROOT = join(import.meta.dirname, '../..');
const WITHIN_MS = 60_000;

/** Commands of package.json that are one module of ours, and modules that people start by hand. */
function modules(): string[] {
  const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
  const commands = Object.values<string>(scripts).map(
    (command) => /^node (?:--[\w-]+ )*(\S+\.ts)$/.exec(command)?.[1],
  );
  const ours = commands.filter((module) => module !== undefined);
  return [...new Set([...ours, 'playground/serve.ts', 'playground/registry/main.ts'])];
}

function run(module: string, ...args: string[]) {
  return spawnSync(process.execPath, [join(ROOT, module), ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: WITHIN_MS / 2,
  });
}

describe.each(modules())('%s', (module) => {
  it(
    'prints its usage when it is asked for help, and does nothing else',
    () => {
      const { status, stdout, stderr } = run(module, '--help');
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout).toContain('Usage: ');
    },
    WITHIN_MS,
  );

  it(
    'refuses a flag that it does not know, without a stack',
    () => {
      const { status, stdout, stderr } = run(module, '--no-such-flag');
      expect(status).toBeGreaterThan(0);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/--no-such-flag|Usage: /);
      expect(stderr).not.toMatch(/^\s+at /m);
    },
    WITHIN_MS,
  );
});

it('the list above holds the commands that people know', () => {
  expect(modules()).toEqual(
    expect.arrayContaining(['gateway/main.ts', 'monitoring/docs.ts', 'tests/fuzz/main.ts', 'bench/main.ts']),
  );
});

describe('the flags of npm run fuzz', () => {
  it.each([
    ['--kind=both', '--kind must be request or answer or route, got "both"'],
    ['--seconds=soon', '--seconds must be a number from 0.1 to 86400, got "soon"'],
    ['--seed=1.5', '--seed must be a whole number from 0 to 2147483647, got "1.5"'],
    ['--cases=0', '--cases must be a whole number from 1'],
    ['--sed=1', '--sed'],
  ])('%s is refused', (arg, message) => {
    expect(() => parseFlags(FUZZ_COMMAND, [arg])).toThrow(FlagError);
    expect(() => parseFlags(FUZZ_COMMAND, [arg])).toThrow(message);
  });

  it('are read', () => {
    const flags = { help: false, seconds: 0.5, seed: 7, kind: 'answer', cases: 3 };
    expect(
      parseFlags(FUZZ_COMMAND, ['--seconds', '0.5', '--seed', '7', '--kind', 'answer', '--cases', '3']),
    ).toEqual(flags);
  });
});
