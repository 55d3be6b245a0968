import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Cores } from '../machine/machine.ts';
import { WrongAnswerError } from '../measure/verify.ts';
import { modulePath } from '../servers/site.ts';
import { FlagError } from './flags.ts';

export const EXIT_FAILED = 1;
const EXIT_BAD_FLAGS = 2;

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Progress is not part of what was asked for. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Nothing without a file. */
export function writeJson(file: string | undefined, document: object): void {
  if (file !== undefined) writeFileSync(resolve(file), `${JSON.stringify(document, null, 2)}\n`);
}

/** The peers are packages of their own: the product does not depend on them. */
export function installPeers(): void {
  if (existsSync(modulePath('node_modules'))) return;
  tell('Installing the peers into bench/node_modules, once ...');
  // npm's own words go to stderr: stdout is for the table.
  const args = ['ci', '--prefix', modulePath('.'), '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', args, { stdio: ['ignore', 2, 2] });
}

/** This process reads the gateways' logs: not on the core that is measured. */
export function stepAside({ pinned, others }: Cores): void {
  if (!pinned)
    tell('Nothing is pinned to a core: there is only one, or no taskset. Trust these figures less.');
  else execFileSync('taskset', ['-acp', String(others), String(process.pid)], { stdio: 'ignore' });
}

/** Runs what a command does, which resolves to its exit code, and says in one line what was wrong with its flags. */
export async function runCommand(main: () => Promise<number>): Promise<void> {
  // One listener for each process of the bench.
  process.setMaxListeners(0);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(EXIT_FAILED));
  try {
    process.exitCode = await main();
  } catch (error) {
    const isExpected = error instanceof FlagError || error instanceof WrongAnswerError;
    tell(isExpected ? error.message : String(Error.isError(error) ? error.stack : error));
    process.exitCode = error instanceof FlagError ? EXIT_BAD_FLAGS : EXIT_FAILED;
  }
}
