import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, FlagError, type FlagTable, type FlagValues, helpOf, parseCommand } from './flags.ts';

export const EXIT_FAILED = 1;
export const EXIT_BAD_FLAGS = 2;

/** An error whose message is all that a reader needs: no stack is printed with it. */
export class ExpectedError extends Error {
  override readonly name: string = 'ExpectedError';
}

/** Prints what was asked for. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Prints progress, which is not part of what was asked for. */
export function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Writes the document as JSON; nothing without a file. */
export function writeJson(file: string | undefined, document: object): void {
  if (file !== undefined) writeFileSync(resolve(file), `${JSON.stringify(document, null, 2)}\n`);
}

/**
 * Runs a command with the flags of this process: prints its help, says in one line what is wrong with a flag (exit code
 * 2), else ends with the exit code that `main` resolves to, and with 1 when that throws or a signal ends the command.
 */
export async function runCommand<Table extends FlagTable>(
  command: Command<Table>,
  main: (flags: FlagValues<Table>, words: readonly string[]) => Promise<number>,
): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(EXIT_FAILED));
  try {
    const { values, words } = parseCommand(command, process.argv.slice(2));
    if (values.help) print(helpOf(command));
    else process.exitCode = await main(values, words);
  } catch (error) {
    const isExpected = error instanceof FlagError || error instanceof ExpectedError;
    tell(isExpected ? error.message : String(Error.isError(error) ? error.stack : error));
    process.exitCode = error instanceof FlagError ? EXIT_BAD_FLAGS : EXIT_FAILED;
  }
}
