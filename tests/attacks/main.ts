// One token attacks, another user works: npm run attacks -- --help
import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { FlagError } from '../support/flags.ts';
import { attacks } from './attacks.ts';
import { type Flags, HELP, parseFlags } from './flags.ts';
import { runTrial } from './trial.ts';
import { judge, type Pair, type Verdict } from './verdict.ts';

const EXIT_FAILED = 1;
const EXIT_BAD_FLAGS = 2;
const MIB = 1024 ** 2;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

async function pairsOf(name: string, { pairs, seconds }: Flags): Promise<Pair[]> {
  const done: Pair[] = [];
  while (done.length < pairs) {
    progress(`${name}: pair ${done.length + 1} of ${pairs}`);
    const harmless = await runTrial(name, 'harmless', seconds * 1000);
    done.push({ harmless, attack: await runTrial(name, 'attack', seconds * 1000) });
  }
  progress('');
  return done;
}

function row(name: string, verdict: Verdict): string {
  const { harmlessP99Ms, attackP99Ms, ratio, rssGrowthBytes, complaints } = verdict;
  const columns = [
    name.padEnd(40),
    (attacks[name]?.finding ?? '').padStart(7),
    harmlessP99Ms.toFixed(1).padStart(13),
    attackP99Ms.toFixed(1).padStart(11),
    ratio.toFixed(2).padStart(5),
    `${(rssGrowthBytes / MIB).toFixed(0)} MiB`.padStart(8),
    complaints.length === 0 ? 'held' : `FAILED: ${complaints.join('; ')}`,
  ];
  return columns.join('  ');
}

async function main(): Promise<number> {
  const flags = parseFlags(process.argv.slice(2));
  if (flags.help) {
    print(HELP);
    return 0;
  }
  if (flags.list) {
    for (const name of flags.names) print(`${attacks[name]?.finding.padStart(2)}  ${name}`);
    return 0;
  }
  print(`${'attack'.padEnd(40)}  finding  harmless p99  attack p99  ratio  memory`);
  const results: Record<string, { verdict: Verdict; pairs: readonly Pair[] }> = {};
  for (const name of flags.names) {
    const pairs = await pairsOf(name, flags);
    results[name] = { verdict: judge(pairs), pairs };
    print(row(name, results[name].verdict));
  }
  if (flags.json !== undefined) {
    const document = { flags, node: process.version, results };
    writeFileSync(resolve(flags.json), `${JSON.stringify(document, null, 2)}\n`);
  }
  return Object.values(results).some(({ verdict }) => verdict.complaints.length > 0) ? EXIT_FAILED : 0;
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(EXIT_FAILED));
try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(
    `${error instanceof FlagError ? error.message : Error.isError(error) ? error.stack : error}\n`,
  );
  process.exitCode = error instanceof FlagError ? EXIT_BAD_FLAGS : EXIT_FAILED;
}
