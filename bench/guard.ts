// Compares the gateway of this working tree with that of a commit: npm run bench:guard -- --help
import { FlagError, type FlagValues } from '../config/commandLine/flags.ts';
import { EXIT_FAILED, print, runCommand, tell, writeJson } from '../config/commandLine/run.ts';
import { stepAside } from './command/run.ts';
import { type Checkout, checkOut } from './guard/checkout.ts';
import { GUARD_COMMAND } from './guard/command.ts';
import { MODES } from './guard/modes.ts';
import { type PairResult, runPair } from './guard/pair.ts';
import { untilQuiet } from './guard/quiet.ts';
import { judgePairs, type ModeVerdict } from './guard/verdict.ts';
import { described, isDisturbed } from './machine/disturbance.ts';
import { type Cores, chooseCores, isInstalled, machineFacts } from './machine/machine.ts';
import { aligned, runLine } from './report/report.ts';
import { openSite } from './servers/site.ts';

type Flags = FlagValues<typeof GUARD_COMMAND.flags>;

const EXIT_NOT_JUDGED = 3;
/** An interval takes two. */
const LEAST_PAIRS = 2;
const MINUTE_MS = 60_000;

async function measurePairs(flags: Flags, { directory }: Checkout, cores: Cores): Promise<PairResult[]> {
  const site = await openSite(cores, { against: directory });
  const modes = MODES.filter(({ name }) => flags.only.length === 0 || flags.only.includes(name));
  const results: PairResult[] = [];
  try {
    for (let number = 1; number <= flags.pairs; number += 1) {
      await untilQuiet(flags.wait * MINUTE_MS, tell);
      tell(`Pair ${number} of ${flags.pairs}`);
      const startedAtMs = performance.now();
      const result = await runPair(number, { ...flags, site, modes, onProgress: tell });
      const took = ((performance.now() - startedAtMs) / 1000).toFixed(0);
      tell(`  took ${took} s; ${described(result.disturbance)}`);
      results.push(result);
    }
    return results;
  } finally {
    await site.close();
  }
}

function table(verdicts: readonly ModeVerdict[]): string {
  const rows = verdicts.map(({ mode, beforeUs, nowUs, ratio, low, high, outcome }) => [
    mode,
    beforeUs.toFixed(1),
    nowUs.toFixed(1),
    ratio.toFixed(3),
    `${low.toFixed(3)} to ${high.toFixed(3)}`,
    outcome === 'dearer' ? 'DEARER' : outcome,
  ]);
  return aligned([['mode', 'us before', 'us now', 'ratio', '95 % interval', 'verdict'], ...rows]);
}

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
  const results = await measurePairs(flags, checkout, cores);
  const undisturbed = results.filter(({ disturbance }) => !isDisturbed(disturbance));
  const isJudged = undisturbed.length >= LEAST_PAIRS;
  // What cannot be judged is shown all the same.
  const shown = isJudged ? undisturbed : results;
  const verdicts = judgePairs(
    shown.map(({ costs }) => costs),
    flags.atMost,
  );
  print(`Before: ${checkout.title}\n${runLine(machine, flags)}, ${shown.length} pairs\n\n${table(verdicts)}`);
  if (undisturbed.length < results.length) {
    print(`\n${results.length - undisturbed.length} of ${results.length} pairs were disturbed by others.`);
  }
  if (!isJudged) print('Not judged: measure again on a quiet machine.');
  writeJson(flags.json, { machine, flags, before: checkout.title, pairs: results, verdicts, isJudged });
  if (!isJudged) return EXIT_NOT_JUDGED;
  return verdicts.some(({ outcome }) => outcome === 'dearer') ? EXIT_FAILED : 0;
}

await runCommand(GUARD_COMMAND, main);
