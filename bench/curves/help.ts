import { ROUNDS_TO_CHECK } from '../command/flags.ts';
import { pointName } from './curve.ts';
import { CURVES } from './list.ts';

const curves = CURVES.map((curve) => {
  const [first, last] = [Math.min(...curve.points), Math.max(...curve.points)];
  return `  ${curve.name.padEnd(11)} ${pointName(curve, first)} to ${pointName(curve, last)}: ${curve.title}`;
});

export const HELP = `Measures how the cost of a request grows, point by point in turn, and prints the medians and their
ratios to the first point.

Usage: npm run bench:curves -- [flags]      or      node bench/curves.ts [flags]

  --only services,keys  measure just these curves; repeat it or separate by commas
  --rounds ${ROUNDS_TO_CHECK}            how often each point is measured, 1 to 100, after a warm-up
  --seconds 2           how long it is under load each time
  --up-to 1000          leave out the points beyond
  --warm-up 60000       requests that each point gets at the least before it is measured; then until it gets no cheaper.
                        0: at once
  --json FILE           write every round, the medians and what machine it was to FILE
  --pictures DIR        draw each curve as DIR/<curve>.svg
  --help                this text

Curves:
${curves.join('\n')}

What is measured has a core of its own where the machine has two and \`taskset\`. It needs nginx, as the service.`;
