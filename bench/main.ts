// Measures the gateway beside its peers: npm run bench -- --help
import { resolve } from 'node:path';
import { type Flags, parseFlags } from './command/flags.ts';
import { HELP } from './command/help.ts';
import { EXIT_FAILED, installPeers, print, runCommand, stepAside, tell, writeJson } from './command/run.ts';
import { type Cores, chooseCores, machineFacts } from './machine/machine.ts';
import { Bench } from './measure/bench.ts';
import { SUBJECT_NAMES } from './measure/subjects.ts';
import { judge, readBudgets } from './report/budgets.ts';
import { resultsAsJson, resultTable, runLine, verdictTable } from './report/report.ts';
import type { SubjectResult } from './report/results.ts';
import { openSite } from './servers/site.ts';

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
  print(`\n${runLine(machine, flags)}\n`);
  print(resultTable(results));
  if (flags.check) print(`\n${verdictTable(verdicts)}`);
  writeJson(flags.json, { machine, flags, subjects: resultsAsJson(results), budgets: verdicts });
  return flags.check && verdicts.some(({ kept }) => !kept) ? EXIT_FAILED : 0;
}

await runCommand(main);
