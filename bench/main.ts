// Measures the gateway beside its peers: npm run bench -- --help
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { Bench } from './bench.ts';
import { judge, readBudgets } from './budgets.ts';
import { FlagError, type Flags, parseFlags } from './flags.ts';
import { HELP } from './help.ts';
import { type Cores, chooseCores, machineFacts } from './machine.ts';
import { resultsAsJson, resultTable, verdictTable } from './report.ts';
import type { SubjectResult } from './results.ts';
import { modulePath, openSite } from './site.ts';
import { SUBJECT_NAMES } from './subjects.ts';
import { WrongAnswerError } from './verify.ts';

const EXIT_FAILED = 1;
const EXIT_BAD_FLAGS = 2;

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Progress is not part of what was asked for. */
function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** The peers are packages of their own: the product does not depend on them. */
function installPeers(): void {
  if (existsSync(modulePath('node_modules'))) return;
  tell('Installing the peers into bench/node_modules, once ...');
  // npm's own words go to stderr: stdout is for the table.
  const args = ['ci', '--prefix', modulePath('.'), '--ignore-scripts', '--loglevel=error'];
  execFileSync('npm', args, { stdio: ['ignore', 2, 2] });
}

/** This process reads the gateways' logs: not on the core that is measured. */
function stepAside({ pinned, others }: Cores): void {
  if (!pinned)
    tell('Nothing is pinned to a core: there is only one, or no taskset. Trust these figures less.');
  else execFileSync('taskset', ['-acp', String(others), String(process.pid)], { stdio: 'ignore' });
}

async function measureAll({ only, rounds, seconds, against }: Flags, cores: Cores): Promise<SubjectResult[]> {
  const site = await openSite(cores, against && resolve(against));
  const bench = new Bench({ site, rounds, seconds, onProgress: tell });
  try {
    const results: SubjectResult[] = [];
    for (const name of only.length > 0 ? only : SUBJECT_NAMES) results.push(await bench.run(name));
    return results;
  } finally {
    await bench.close();
    await site.close();
  }
}

async function main(): Promise<number> {
  const flags = parseFlags(process.argv.slice(2), SUBJECT_NAMES);
  if (flags.help) {
    print(HELP);
    return 0;
  }
  installPeers();
  const cores = chooseCores();
  stepAside(cores);
  const machine = machineFacts(cores);
  const results = await measureAll(flags, cores);
  const verdicts = judge(readBudgets(), results);
  print(
    `\n${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${flags.rounds} rounds of ${flags.seconds} s\n`,
  );
  print(resultTable(results));
  if (flags.check) print(`\n${verdictTable(verdicts)}`);
  if (flags.json !== undefined) {
    const document = { machine, flags, subjects: resultsAsJson(results), budgets: verdicts };
    writeFileSync(resolve(flags.json), `${JSON.stringify(document, null, 2)}\n`);
  }
  return flags.check && verdicts.some(({ kept }) => !kept) ? EXIT_FAILED : 0;
}

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
