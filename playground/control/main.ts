// Breaks and mends what a running playground runs: npm run playground:ctl -- --help
import { FlagError, helpOf, parseCommand as parseWords } from '../../config/commandLine/flags.ts';
import { EXIT_BAD_FLAGS, EXIT_FAILED } from '../../config/commandLine/run.ts';
import { columns } from '../stack/report.ts';
import { choose, portsOf } from './choose.ts';
import { command } from './client.ts';
import { CommandError, parseCommand } from './command.ts';
import { CONTROL_COMMAND } from './help.ts';
import type { ProcessStatus } from './protocol.ts';
import { runningPlaygrounds } from './sockets.ts';

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

async function run(args: readonly string[]): Promise<string> {
  const { values, words } = parseWords(CONTROL_COMMAND, args);
  if (values.help) return helpOf(CONTROL_COMMAND);
  // A slip is told with no playground at hand, too.
  parseCommand(words);
  return table(await command(await socketOf(values.registryPort), words));
}

try {
  process.stdout.write(`${await run(process.argv.slice(2))}\n`);
} catch (error) {
  if (!(error instanceof FlagError || error instanceof CommandError)) throw error;
  const isMisspelt = error instanceof FlagError;
  process.stderr.write(`${error.message}\n${isMisspelt ? 'See npm run playground:ctl -- --help\n' : ''}`);
  process.exitCode = isMisspelt ? EXIT_BAD_FLAGS : EXIT_FAILED;
}
