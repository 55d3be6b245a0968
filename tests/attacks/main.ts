// One token attacks, another user works: npm run attacks -- --help
import { EXIT_FAILED, print, runCommand, writeJson } from '../../config/commandLine/run.ts';
import { attacks } from './attacks.ts';
import { ATTACKS_COMMAND, type Flags } from './command.ts';
import { runTrial } from './trial.ts';
import { judge, type Pair, type Verdict } from './verdict.ts';

const MIB = 1024 ** 2;

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

async function main(flags: Flags): Promise<number> {
  if (flags.list) {
    for (const name of flags.only) print(`${attacks[name]?.finding.padStart(2)}  ${name}`);
    return 0;
  }
  print(`${'attack'.padEnd(40)}  finding  harmless p99  attack p99  ratio  memory`);
  const results: Record<string, { verdict: Verdict; pairs: readonly Pair[] }> = {};
  for (const name of flags.only) {
    const pairs = await pairsOf(name, flags);
    results[name] = { verdict: judge(pairs), pairs };
    print(row(name, results[name].verdict));
  }
  writeJson(flags.json, { flags, node: process.version, results });
  return Object.values(results).some(({ verdict }) => verdict.complaints.length > 0) ? EXIT_FAILED : 0;
}

await runCommand(ATTACKS_COMMAND, main);
