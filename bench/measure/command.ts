import { type Command, FlagError, onOff, text } from '../../config/commandLine/flags.ts';
import { commonFlags, ROUNDS_TO_JUDGE } from '../command/flags.ts';
import { SUBJECT_NAMES, SUBJECTS } from './subjects.ts';

/** The machine was disturbed: nothing was judged. */
export const EXIT_NOT_JUDGED = 3;

const subjects = [
  ...SUBJECTS.map(({ name, title }) => [name, title]),
  ['start', 'time until a new gateway is ready, and its memory'],
  ['clients', 'memory with 10,000 idle clients'],
];

const flags = {
  ...commonFlags('forward,hit', SUBJECT_NAMES, 'subject'),
  against: text('DIR', 'beside this gateway measure the one of another checkout, and compare the two'),
  publish: onOff('write table and picture into docs/performance.md, unless the machine was disturbed'),
};

/** `npm run bench`. */
export const BENCH_COMMAND: Command<typeof flags> = {
  about:
    'Measures the gateway beside other proxies, in turn, prints medians and their ratios, and judges bench/budgets.json.',
  usage: ['npm run bench --', 'node bench/main.ts'],
  flags,
  notes: `Subjects:
${subjects.map(([name = '', title]) => `  ${name.padEnd(10)} ${title}`).join('\n')}

Exit code 1 when a budget is missed; ${EXIT_NOT_JUDGED} when the machine was disturbed while something with a budget was measured, by
other processes, by its host, or so that one process measured twice a round did not cost the same both times: then
nothing is judged by those figures. Fewer than ${ROUNDS_TO_JUDGE} rounds are not judged at all.

What is measured has a core of its own where the machine has two and \`taskset\`. The load comes from wrk and the
service behind everything is nginx where they are installed; nginx and haproxy are measured where they are, and caddy
and traefik where \`npm run bench:contenders\` has built them.`,
};

/** Throws `FlagError` where the flags do not go together. */
export function checkTogether({
  publish,
  rounds,
  against,
}: {
  publish: boolean;
  rounds: number;
  against?: string | undefined;
}): void {
  if (publish && rounds < ROUNDS_TO_JUDGE) {
    throw new FlagError(`--publish needs --rounds of at least ${ROUNDS_TO_JUDGE}, got ${rounds}`);
  }
  if (publish && against !== undefined) throw new FlagError('--publish and --against do not go together');
}
