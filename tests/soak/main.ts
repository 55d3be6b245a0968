// Wears the gateway out for as long as you like: npm run soak -- --help
import { EXIT_FAILED, print, runCommand, writeJson } from '../../config/commandLine/run.ts';
import { attacks } from '../attacks/attacks.ts';
import { AUTH_PATHS, startAttacker } from '../attacks/trial.ts';
import { type GatewayProcess, startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { watchPrinted } from '../support/jest/printed.ts';
import { type Flags, SOAK_COMMAND } from './command.ts';
import { growthLines, heading, row } from './report.ts';
import { type Sample, takeSample } from './samples.ts';
import { startServices } from './services.ts';
import { Traffic } from './traffic.ts';
import { complaints, growthOf } from './verdict.ts';
import { MAX_BODY_BYTES } from './visitors.ts';

const PROGRESS_EVERY_MS = 500;

const SETTINGS = {
  GLOBAL_CONCURRENCY: '10000',
  PER_SERVICE_LIMIT: '10000',
  MAX_UPGRADES: '10000',
  MAX_BODY_BYTES: String(MAX_BODY_BYTES),
  // The faulty service is asked most of the time, and refused now and then.
  CIRCUIT_BREAKER_THRESHOLD: '20',
  CIRCUIT_BREAKER_WINDOW: '1s',
  CIRCUIT_BREAKER_COOLDOWN: '200ms',
  ...AUTH_PATHS,
};

/** Rewrites one line of the terminal until it is stopped; nothing where there is none. */
function showProgress(text: () => string): () => void {
  if (!process.stderr.isTTY) return () => {};
  const write = (line: string) => process.stderr.write(`\r\x1b[K${line}`);
  const timer = setInterval(() => write(text()), PROGRESS_EVERY_MS);
  return () => {
    clearInterval(timer);
    write('');
  };
}

const noop = async () => {};

/** All of them in turn. */
function nextAttack(n: number): string {
  const names = Object.keys(attacks);
  return names[n % names.length] as string;
}

async function soak(gateway: GatewayProcess, flags: Flags): Promise<{ samples: Sample[]; traffic: Traffic }> {
  const traffic = new Traffic(gateway, flags.clients);
  const samples: Sample[] = [];
  const startedAtMs = performance.now();
  const elapsedMs = () => performance.now() - startedAtMs;
  const spellMs = (flags.minutes * 60_000) / flags.samples;
  print(heading);
  while (samples.length < flags.samples) {
    const stopProgress = showProgress(() => {
      const done = Math.min(100, elapsedMs() / flags.minutes / 600).toFixed(0);
      return `${done} %, ${traffic.visits} visits, ${traffic.surprises.size} surprises`;
    });
    const stopAttacker = flags.attacks
      ? await startAttacker(nextAttack(samples.length), 'attack', gateway.external)
      : noop;
    await traffic.run(spellMs);
    await stopAttacker();
    stopProgress();
    const sample = { ...(await takeSample(gateway)), atMs: elapsedMs(), visits: traffic.visits };
    samples.push(sample);
    print(row(sample));
  }
  return { samples, traffic };
}

async function main(flags: Flags): Promise<number> {
  const leaks: string[] = [];
  watchPrinted((leak) => leaks.push(leak));
  await using site = await startServices();
  await using gateway = await startGatewayProcess({
    services: site.services,
    env: SETTINGS,
    execArgv: ['--expose-gc', '--import', new URL('./inspect.ts', import.meta.url).href],
  });
  const { samples, traffic } = await soak(gateway, flags);
  const growth = growthOf(samples, flags.clients);
  const found = [...complaints(samples, flags.clients, traffic.surprises), ...leaks];
  print(`\n${growthLines(growth).join('\n')}`);
  print(found.length === 0 ? '\nNothing grows, and nobody was surprised.' : `\nFAILED\n${found.join('\n')}`);
  writeJson(flags.json, { flags, node: process.version, samples, growth, complaints: found });
  return found.length === 0 ? 0 : EXIT_FAILED;
}

await runCommand(SOAK_COMMAND, main);
