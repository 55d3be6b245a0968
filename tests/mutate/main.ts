// Puts faults into the source and looks whether the tests notice: npm run mutate -- lib/cache/rules
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { FlagError } from '../../config/commandLine/flags.ts';
import { Random } from '../fuzz/random.ts';
import { startRedis } from '../support/stores/redis.ts';
import { type Flags, HELP, parseFlags } from './flags.ts';
import { mutantsOf } from './mutants.ts';
import { Imports, mirrorOf, ROOT, sourcesAt, testsIn } from './related.ts';
import { described, type Fault, Trial } from './trial.ts';
import { type Verdict, Workplace } from './workplace.ts';

const FIRST_RUN_MS = 10 * 60_000;

class CannotRunError extends Error {
  override readonly name = 'CannotRunError';
}

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  try {
    const flags = parseFlags(args);
    if (!flags.help) return await mutate(flags);
    say(HELP);
    return 0;
  } catch (error) {
    if (!(error instanceof FlagError || error instanceof CannotRunError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 2;
  }
}

async function mutate(flags: Flags): Promise<number> {
  const faults = faultsOf(flags);
  if (!flags.list) return (await tryFaults(shuffled(faults, flags.seed), flags)) === 0 ? 0 : 1;
  say(faults.map(described).join('\n'));
  return 0;
}

/** Every fault of the sources that some test imports. Those of the others would only say so again and again. */
function faultsOf({ paths, with: more }: Flags): Fault[] {
  const imports = new Imports();
  return paths.flatMap((path) => {
    const sources = sourcesAt(path);
    if (sources.length === 0)
      throw new FlagError(`${path} holds no source: expected a path such as lib/cache`);
    return sources.flatMap((file) => {
      const tests = testsIn([mirrorOf(file), ...more]).filter((test) => imports.reachedBy(test).has(file));
      if (tests.length === 0) say(`${file}: no test imports it`);
      return tests.length === 0 ? [] : faultsIn(file, tests);
    });
  });
}

function faultsIn(file: string, tests: readonly string[]): Fault[] {
  const source = readFileSync(join(ROOT, file), 'utf8');
  return mutantsOf(source).map((mutant) => ({ ...mutant, file, source, tests }));
}

function shuffled(faults: readonly Fault[], seed: number): Fault[] {
  const random = new Random(seed);
  const rest = [...faults];
  return faults.map(() => rest.splice(random.below(rest.length), 1)[0] as Fault);
}

/** Resolves to how many faults no test noticed. */
async function tryFaults(faults: readonly Fault[], { minutes, workers }: Flags): Promise<number> {
  const redis = await startRedis();
  const places = Array.from({ length: workers }, () => new Workplace(redis.url));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => leave(places));
  try {
    const tookMs = await runUnharmed(places, [...new Set(faults.flatMap(({ tests }) => tests))]);
    const trial = new Trial({ faults, tookMs, until: performance.now() + minutes * 60_000, say });
    await Promise.all(places.map((place) => trial.work(place)));
    say(trial.summary());
    return trial.unnoticed.length;
  } finally {
    for (const place of places) place[Symbol.dispose]();
    await redis.stop();
  }
}

/** Leaves nothing behind: neither processes nor copies. */
function leave(places: readonly Workplace[]): void {
  for (const place of places) place[Symbol.dispose]();
  process.exit(130);
}

/** Runs the tests without a fault: they must pass, and say how long each takes. Every place loads what it needs meanwhile. */
async function runUnharmed(places: readonly Workplace[], tests: readonly string[]) {
  say(`${tests.length} test files, first without a fault`);
  const verdicts = await Promise.all(places.map((place) => place.run(tests, FIRST_RUN_MS)));
  for (const verdict of verdicts) {
    if (typeof verdict === 'string')
      throw new CannotRunError(`the tests have no end without a fault: ${verdict}`);
    if (!verdict.passed) {
      throw new CannotRunError(`the tests fail without a fault: npm run jest -- ${tests.join(' ')}`);
    }
  }
  return (verdicts[0] as Exclude<Verdict, string>).tookMs;
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}
