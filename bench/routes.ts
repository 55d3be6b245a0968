// Compares what a request costs with one file of a gateway and with another: npm run bench:routes -- --help
import { type Command, FlagError, type FlagValues, names } from '../config/commandLine/flags.ts';
import { print, runCommand, writeJson } from '../config/commandLine/run.ts';
import { stepAside } from './command/run.ts';
import { pairFlags } from './guard/command.ts';
import { type Judgement, judge, measurePairs } from './guard/pairs.ts';
import { COMPARISON_NAMES, COMPARISONS } from './guard/routeFiles.ts';
import { chooseCores, isInstalled, machineFacts } from './machine/machine.ts';
import { modulePath } from './machine/modulePath.ts';
import { runLine } from './report/report.ts';
import { openSite } from './servers/site.ts';

const { atMost: _ofEach, ...pairs } = pairFlags;

const flags = {
  only: names('many', COMPARISON_NAMES, 'comparison', 'measure just these. Default: all'),
  ...pairs,
};

const COMMAND: Command<typeof flags> = {
  about: `Compares the CPU time per request of a gateway with one file and with another, in about five minutes each.`,
  usage: ['npm run bench:routes --', 'node bench/routes.ts'],
  flags,
  notes: `Comparisons, each with the ratio that the second file may cost at most:
${COMPARISONS.map(({ name, title, atMost }) => `  ${name.padEnd(9)} ${title}: ${atMost}`).join('\n')}

It measures and judges as npm run bench:guard does, and needs wrk and nginx.`,
};

async function main(values: FlagValues<typeof flags>): Promise<number> {
  if (!isInstalled('wrk') || !isInstalled('nginx')) throw new FlagError('Install wrk and nginx first');
  const cores = chooseCores();
  stepAside(cores);
  const machine = machineFacts(cores);
  const judgements: Record<string, Judgement> = {};
  for (const { name, title, atMost, files, modes } of COMPARISONS) {
    if (values.only.length > 0 && !values.only.includes(name)) continue;
    const site = await openSite(cores, { against: modulePath('..') });
    const results = await measurePairs({ ...values, site, modes, start: files(site) });
    const judged = judge(results, atMost);
    print(`Now: ${title}. At most ${atMost}.\n${runLine(machine, values)}, ${judged.summary}\n`);
    judgements[name] = judged;
  }
  writeJson(values.json, { machine, flags: values, judgements });
  return Math.max(...Object.values(judgements).map(({ exitCode }) => exitCode));
}

await runCommand(COMMAND, main);
