import { type Command, number, text } from '../../config/commandLine/flags.ts';
import { commonFlags } from '../command/flags.ts';
import { pointName } from './curve.ts';
import { CURVE_NAMES, CURVES } from './list.ts';

const ALL_POINTS = 1_000_000_000;

const curves = CURVES.map((curve) => {
  const [first, last] = [Math.min(...curve.points), Math.max(...curve.points)];
  return `  ${curve.name.padEnd(11)} ${pointName(curve, first)} to ${pointName(curve, last)}: ${curve.title}`;
});

const flags = {
  ...commonFlags('services,keys', CURVE_NAMES, 'curve'),
  upTo: number(ALL_POINTS, { min: 1, max: ALL_POINTS, whole: true }, 'leave out the points beyond'),
  pictures: text('DIR', 'draw each curve as DIR/<curve>.svg'),
};

/** `npm run bench:curves`. */
export const CURVES_COMMAND: Command<typeof flags> = {
  about: `Measures how the cost of a request grows, point by point in turn, and prints the medians and their ratios to the
first point.`,
  usage: ['npm run bench:curves --', 'node bench/curves.ts'],
  flags,
  notes: `Curves:
${curves.join('\n')}

What is measured has a core of its own where the machine has two and \`taskset\`. It needs nginx, as the service.`,
};
