// Compares the gateway of this working tree with that of a commit: npm run bench:guard -- --help
import { FlagError, type FlagValues } from '../config/commandLine/flags.ts';
import { print, runCommand, tell, writeJson } from '../config/commandLine/run.ts';
import { stepAside } from './command/run.ts';
import { checkOut } from './guard/checkout.ts';
import { GUARD_COMMAND } from './guard/command.ts';
import { guardServices, MODES } from './guard/modes.ts';
import { judge, measurePairs } from './guard/pairs.ts';
import { chooseCores, isInstalled, machineFacts } from './machine/machine.ts';
import { runLine } from './report/report.ts';
import { openSite } from './servers/site.ts';

type Flags = FlagValues<typeof GUARD_COMMAND.flags>;

async function main(flags: Flags, words: readonly string[]): Promise<number> {
  if (words.length > 1) throw new FlagError(`expected one commit, got ${JSON.stringify(words.join(' '))}`);
  if (!isInstalled('wrk') || !isInstalled('nginx')) throw new FlagError('Install wrk and nginx first');
  const cores = chooseCores();
  stepAside(cores);
  using checkout = checkOut(words[0]);
  tell(`Before: ${checkout.title}. Now: this working tree.`);
  if (checkout.hasOtherPackages)
    tell('The commit asks for other packages than are installed: it runs on these.');
  const machine = machineFacts(cores);
  const site = await openSite(cores, { against: checkout.directory });
  const modes = MODES.filter(({ name }) => flags.only.length === 0 || flags.only.includes(name));
  const same = { services: guardServices(site) };
  const results = await measurePairs({ ...flags, site, modes, start: { before: same, now: same } });
  const judged = judge(results, flags.atMost);
  print(`Before: ${checkout.title}\n${runLine(machine, flags)}, ${judged.summary}`);
  writeJson(flags.json, { machine, flags, before: checkout.title, pairs: results, ...judged });
  return judged.exitCode;
}

await runCommand(GUARD_COMMAND, main);
