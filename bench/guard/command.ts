import { type Command, names, number, text } from '../../config/commandLine/flags.ts';
import { MODE_NAMES, MODES } from './modes.ts';

/** How pairs are measured. */
export const pairFlags = {
  pairs: number(
    6,
    { min: 2, max: 100, whole: true },
    'how many pairs of fresh processes are compared; six take ten minutes',
  ),
  rounds: number(
    4,
    { min: 1, max: 100, whole: true },
    'how often both are measured in each mode of a pair, by turns',
  ),
  seconds: number(1, { min: 1, max: 60, whole: true }, 'how long each is under load each time'),
  warmUp: number(
    4,
    { min: 0, max: 60, whole: true },
    'seconds of load before the first round of a mode, each',
  ),
  wait: number(
    10,
    { min: 0, max: 600 },
    'minutes to wait at most before each pair while others keep the machine busy',
  ),
  atMost: number(1, { min: 0.5, max: 10 }, 'the ratio up to which nothing counts as dearer'),
  json: text('FILE', 'write every measurement to FILE'),
};

const flags = {
  only: names(
    'hit,401',
    MODE_NAMES,
    'mode',
    'measure just these modes; repeat it or separate by commas. Default: all',
  ),
  ...pairFlags,
};

/** `npm run bench:guard`. */
export const GUARD_COMMAND: Command<typeof flags> = {
  about: `Compares the CPU time per request of the gateway in this working tree with that of a commit, in about ten minutes, and
says what changed beyond the noise. Without a COMMIT it is compared with where the branch left main, or on main itself
with the commit before.`,
  usage: ['npm run bench:guard --', 'node bench/guard.ts'],
  words: '[COMMIT]',
  flags,
  notes: `Modes:
${MODES.map(({ name, title }) => `  ${name.padEnd(17)} ${title}`).join('\n')}

Each pair is two fresh processes, started in an order that alternates from pair to pair and put under load by turns, so
that the machine's moods and V8's luck in one process hit both alike. The ratio is the geometric mean over the pairs, with
its 95 % interval by Student's t. Something is dearer when the whole interval lies above --at-most.

The commit is checked out into a temporary folder with this node_modules linked into it. A pair that was disturbed by
other processes or by the machine's host is left out of the verdict; the command says so.

Exit code 1 when something got dearer; 3 when fewer than two pairs were left undisturbed: then nothing is judged.
It needs wrk and nginx.`,
};
