// Measures the gateway beside its peers: npm run bench -- --help
import { resolve } from 'node:path';
import type { FlagValues } from '../config/commandLine/flags.ts';
import { EXIT_FAILED, print, runCommand, tell, writeJson } from '../config/commandLine/run.ts';
import { ROUNDS_TO_JUDGE } from './command/flags.ts';
import { installPeers, stepAside } from './command/run.ts';
import { type Cores, chooseCores, machineFacts } from './machine/machine.ts';
import { Bench } from './measure/bench.ts';
import { BENCH_COMMAND, checkTogether, EXIT_NOT_JUDGED } from './measure/command.ts';
import { SUBJECT_NAMES } from './measure/subjects.ts';
import { judge, readBudgets, type Verdict, whyNotJudged } from './report/budgets.ts';
import { publish } from './report/publish.ts';
import { resultsAsJson, resultTable, runLine, verdictTable } from './report/report.ts';
import type { SubjectResult } from './report/results.ts';
import { openSite } from './servers/site.ts';

type Flags = FlagValues<typeof BENCH_COMMAND.flags>;

async function measureAll(
  { only, rounds, seconds, warmUp, against }: Flags,
  cores: Cores,
): Promise<SubjectResult[]> {
  const site = await openSite(cores, { against: against && resolve(against) });
  const bench = new Bench({ site, rounds, seconds, warmUp, onProgress: tell });
  try {
    const results: SubjectResult[] = [];
    for (const name of only.length > 0 ? only : SUBJECT_NAMES) results.push(await bench.run(name));
    return results;
  } finally {
    await bench.close();
    await site.close();
  }
}

/** Prints what was wrong with the machine and what came of the budgets; gives the exit code. */
function announce(results: readonly SubjectResult[], verdicts: readonly Verdict[]): number {
  for (const result of results) {
    const reason = whyNotJudged(result);
    if (reason) print(`\n${result.name} is not judged: ${reason}.`);
  }
  if (verdicts.length > 0) print(`\n${verdictTable(verdicts)}`);
  if (verdicts.some(({ outcome }) => outcome === 'missed')) return EXIT_FAILED;
  return verdicts.some(({ outcome }) => outcome === 'not judged') ? EXIT_NOT_JUDGED : 0;
}

async function main(flags: Flags): Promise<number> {
  checkTogether(flags);
  installPeers();
  const cores = chooseCores();
  stepAside(cores);
  const machine = machineFacts(cores);
  const results = await measureAll(flags, cores);
  const isJudged = flags.rounds >= ROUNDS_TO_JUDGE && flags.against === undefined;
  const verdicts = isJudged ? judge(readBudgets(), results) : [];
  print(`\n${runLine(machine, flags)}\n`);
  print(resultTable(results));
  const exitCode = announce(results, verdicts);
  writeJson(flags.json, { machine, flags, subjects: resultsAsJson(results), budgets: verdicts });
  if (flags.publish && exitCode !== EXIT_NOT_JUDGED) publish(results, verdicts, runLine(machine, flags));
  return exitCode;
}

await runCommand(BENCH_COMMAND, main);
