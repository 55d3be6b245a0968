// Breaks and mends what a running playground runs: npm run playground:ctl -- --help
import { parseArgs } from 'node:util';
import { FlagError, portFlag } from '../flags.ts';
import { columns } from '../report.ts';
import { command } from './client.ts';
import { CommandError, parseCommand } from './command.ts';
import { HELP } from './help.ts';
import type { ProcessStatus } from './protocol.ts';
import { type RunningPlayground, runningPlaygrounds } from './sockets.ts';

const EXIT_FAILED = 1;
const EXIT_BAD_FLAGS = 2;

interface Asked {
  readonly help: boolean;
  readonly words: readonly string[];
  /** Missing: the playground started last. */
  readonly registryPort: number | undefined;
}

function readArgs(): Asked {
  const options = {
    help: { type: 'boolean', short: 'h', default: false },
    'registry-port': { type: 'string' },
  } as const;
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const port = values['registry-port'];
    return {
      help: values.help,
      words: positionals,
      registryPort: port === undefined ? undefined : portFlag('registry-port', port),
    };
  } catch (error) {
    throw new FlagError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Throws `CommandError` when there is none. */
async function chosenPlayground(registryPort: number | undefined): Promise<RunningPlayground> {
  const running = await runningPlaygrounds();
  const ports = running.map((one) => one.registryPort).join(', ');
  const chosen = running.find((one) => registryPort === undefined || one.registryPort === registryPort);
  if (running.length === 0) throw new CommandError('no playground runs: start one with npm run playground');
  if (!chosen)
    throw new CommandError(`no playground runs with --registry-port ${registryPort}, but with ${ports}`);
  if (registryPort === undefined && running.length > 1) {
    process.stderr.write(
      `Several playgrounds run, --registry-port chooses one: ${ports}. This is the last, ${chosen.registryPort}.\n`,
    );
  }
  return chosen;
}

function table(processes: readonly ProcessStatus[]): string {
  const rows = processes.map(({ name, url, pid, state }) => [name, url, String(pid ?? '-'), state]);
  return columns([['NAME', 'ADDRESS', 'PID', 'STATE'], ...rows]);
}

async function run({ help, words, registryPort }: Asked): Promise<string> {
  if (help) return HELP;
  // A slip is told with no playground at hand, too.
  parseCommand(words);
  const { socketPath } = await chosenPlayground(registryPort);
  return table(await command(socketPath, words));
}

try {
  process.stdout.write(`${await run(readArgs())}\n`);
} catch (error) {
  if (!(error instanceof FlagError || error instanceof CommandError)) throw error;
  const isMisspelt = error instanceof FlagError;
  process.stderr.write(`${error.message}\n${isMisspelt ? 'See npm run playground:ctl -- --help\n' : ''}`);
  process.exitCode = isMisspelt ? EXIT_BAD_FLAGS : EXIT_FAILED;
}
