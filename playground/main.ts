// Runs services, registry and gateway until Ctrl-C: npm run playground -- --help
import './lifeline.ts';
import { FlagError, helpOf } from '../config/commandLine/flags.ts';
import { EXIT_BAD_FLAGS, EXIT_FAILED, print } from '../config/commandLine/run.ts';
import { CommandError } from './control/command.ts';
import { PLAYGROUND_COMMAND, parseFlags } from './flags.ts';
import { tellParent } from './messages.ts';
import { TakenPortsError } from './ports.ts';
import { ChildDiedError } from './stack/child.ts';
import { Playground } from './stack/playground.ts';
import { RedisAbsentError } from './stack/redis.ts';
import { curlLines, failure, headline, table } from './stack/report.ts';

/** A shell's Ctrl-C arrives twice, from the terminal and from npm: only a later one means impatience. */
const IMPATIENT_AFTER_MS = 1000;

/** Resolves when somebody wants the playground to stop. */
function stopRequested(playground: Playground): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let requestedAtMs: number | undefined;
  const onSignal = () => {
    requestedAtMs ??= performance.now();
    if (performance.now() - requestedAtMs > IMPATIENT_AFTER_MS) playground.kill();
    resolve();
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  return promise;
}

/** Runs until the gateway dies, which rejects. */
async function run(playground: Playground): Promise<never> {
  const urls = await playground.start();
  print(`\n${table(urls, playground.pids)}\n`);
  print(`${headline('Try:')}\n${curlLines(urls)}\n`);
  print(headline('The playground is ready. Ctrl-C stops it.'));
  print('npm run playground:ctl -- --help tells how to break things.');
  tellParent({ type: 'ready', urls, pids: playground.pids });
  return playground.gatewayDied();
}

/** What is not already on the screen. */
function complaintOf(error: unknown): string | undefined {
  if (error instanceof ChildDiedError) return undefined;
  const isExpected = [TakenPortsError, RedisAbsentError, CommandError].some((type) => error instanceof type);
  return isExpected && error instanceof Error
    ? error.message
    : String(error instanceof Error ? error.stack : error);
}

async function main(): Promise<number> {
  const flags = parseFlags(process.argv.slice(2));
  if (flags.help) {
    print(helpOf(PLAYGROUND_COMMAND));
    return 0;
  }
  const playground = new Playground({ flags, env: process.env, print });
  let exitCode = 0;
  try {
    await Promise.race([run(playground), stopRequested(playground)]);
    print('Stopping: first the gateway, then the services.');
  } catch (error) {
    const complaint = complaintOf(error);
    if (complaint) print(failure(complaint));
    exitCode = EXIT_FAILED;
  }
  await playground.stop();
  return exitCode;
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof FlagError)) throw error;
  process.stderr.write(`${error.message}\nSee npm run playground -- --help\n`);
  process.exitCode = EXIT_BAD_FLAGS;
}
