// Breaks and mends what a running playground runs: npm run playground:ctl -- --help
import { parseArgs } from 'node:util';
import { FlagError, portFlag } from '../flags.ts';
import { columns } from '../stack/report.ts';
import { choose, portsOf } from './choose.ts';
import { command } from './client.ts';
import { CommandError, parseCommand } from './command.ts';
import { HELP } from './help.ts';
import type { ProcessStatus } from './protocol.ts';
import { runningPlaygrounds } from './sockets.ts';

const EXIT_FAILED = 1;
const EXIT_BAD_FLAGS = 2;

interface Asked {
  readonly help: boolean;
  readonly words: readonly string[];
  /** Missing: the playground with the default port, if it runs, else the one started last. */
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
async function socketOf(registryPort: number | undefined): Promise<string> {
  const running = await runningPlaygrounds();
  const chosen = choose(running, registryPort);
  if (registryPort === undefined && running.length > 1) {
    process.stderr.write(
      `Several playgrounds run, this is ${chosen.registryPort}: --registry-port chooses another of ${portsOf(running)}.\n`,
    );
  }
  return chosen.socketPath;
}

function table(processes: readonly ProcessStatus[]): string {
  const rows = processes.map(({ name, url, pid, state }) => [name, url, String(pid ?? '-'), state]);
  return columns([['NAME', 'ADDRESS', 'PID', 'STATE'], ...rows]);
}

async function run({ help, words, registryPort }: Asked): Promise<string> {
  if (help) return HELP;
  // A slip is told with no playground at hand, too.
  parseCommand(words);
  return table(await command(await socketOf(registryPort), words));
}

try {
  process.stdout.write(`${await run(readArgs())}\n`);
} catch (error) {
  if (!(error instanceof FlagError || error instanceof CommandError)) throw error;
  const isMisspelt = error instanceof FlagError;
  process.stderr.write(`${error.message}\n${isMisspelt ? 'See npm run playground:ctl -- --help\n' : ''}`);
  process.exitCode = isMisspelt ? EXIT_BAD_FLAGS : EXIT_FAILED;
}
