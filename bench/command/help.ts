import { SUBJECTS } from '../measure/subjects.ts';
import { ROUNDS_TO_CHECK } from './flags.ts';

const subjects = [
  ...SUBJECTS.map(({ name, title }) => [name, title]),
  ['start', 'time until a new gateway is ready, and its memory'],
  ['clients', 'memory with 10,000 idle clients'],
];

export const HELP = `Measures the gateway beside other proxies, in turn, and prints the medians and their ratios.

Usage: npm run bench -- [flags]      or      node bench/main.ts [flags]

  --only forward,hit   measure just these subjects; repeat it or separate by commas
  --rounds ${ROUNDS_TO_CHECK}           how often each contender is measured, 1 to 100, after a warm-up
  --seconds 2          how long it is under load each time
  --warm-up 60000      requests that each gets at the least before it is measured; then until it gets no cheaper
  --check              compare the medians with bench/budgets.json and exit with 1 when one is missed
  --against DIR        beside this gateway measure the one of another checkout, and compare the two
  --json FILE          write every round, the medians and what machine it was to FILE
  --help               this text

Subjects:
${subjects.map(([name = '', title]) => `  ${name.padEnd(10)} ${title}`).join('\n')}

What is measured has a core of its own where the machine has two and \`taskset\`. The load comes from wrk and the
service behind everything is nginx where they are installed; nginx, haproxy and caddy are peers where they are.`;
