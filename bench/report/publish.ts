import { readFileSync, writeFileSync } from 'node:fs';
import { modulePath } from '../machine/modulePath.ts';
import type { Verdict } from './budgets.ts';
import { costPicture } from './picture.ts';
import { UNITS } from './report.ts';
import { type Figure, medianOf, ratioOf, type SubjectResult } from './results.ts';

const PAGE = modulePath('../docs/performance.md');
const PICTURE = modulePath('../docs/pictures/cost.svg');
const BEGIN = '<!-- npm run bench -- --publish: begin -->';
const END = '<!-- npm run bench -- --publish: end -->';
/** Columns of ratios. */
const REFERENCES = ['traefik', '@fastify/http-proxy', 'express'];
/** Subjects that other contenders than the gateway are shown of; the others have them for their ratios only. */
const SHOWN_WHOLE = ['forward', 'latency'];

/** Writes what was measured into docs/performance.md, with the picture of `forward` if that was. */
export function publish(
  results: readonly SubjectResult[],
  verdicts: readonly Verdict[],
  where: string,
  date = new Date(),
): void {
  const day = date.toISOString().slice(0, 10);
  const table = publishedTable(results, verdicts);
  writeFileSync(PAGE, withTable(readFileSync(PAGE, 'utf8'), `Measured on ${day}: ${where}.\n\n${table}`));
  const forward = results.find(({ name }) => name === 'forward');
  if (forward) writeFileSync(PICTURE, costPicture(forward));
}

/** The page with `text` between its two marks. Throws when it has none. */
export function withTable(page: string, text: string): string {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`docs/performance.md has no lines ${BEGIN} and ${END}`);
  return `${page.slice(0, begin)}${BEGIN}\n\n${text}\n\n${page.slice(end)}`;
}

/** One row for each contender, in Markdown. */
export function publishedTable(results: readonly SubjectResult[], verdicts: readonly Verdict[]): string {
  const head = [
    'Subject',
    'Contender',
    'CPU, us',
    ...REFERENCES.map((name) => `of ${name}`),
    'p99, ms',
    'MiB',
    'Budgets',
  ];
  const rows = results.flatMap((result) =>
    [...result.rounds.keys()]
      .filter((name) => isShown(result, name))
      .map((name) => rowOf(result, name, verdicts)),
  );
  const lines = [head, head.map((_, column) => (column < 2 ? '---' : '---:')), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function isShown({ name, control }: SubjectResult, contender: string): boolean {
  return contender !== control?.name && (SHOWN_WHOLE.includes(name) || /gateway|worker/.test(contender));
}

function rowOf(result: SubjectResult, contender: string, verdicts: readonly Verdict[]): string[] {
  const value = (figure: Figure, digits: number) => shown(medianOf(result, contender, figure), digits);
  const ratios = REFERENCES.map((name) => shown(ratioOf(result, contender, 'cpuUs', name), 2));
  const own = verdicts.filter(
    ({ budget }) => budget.subject === result.name && budget.contender === contender,
  );
  // Without a rate, a latency only tells how long the queue of the load generator is.
  const p99 = result.name === 'latency' ? value('p99Ms', 2) : '';
  const memory = Number.isNaN(medianOf(result, contender, 'cpuUs')) ? value('rssMiB', 0) : '';
  return [result.name, contender, value('cpuUs', 1), ...ratios, p99, memory, own.map(budgetText).join('; ')];
}

function budgetText({ budget, value, outcome }: Verdict): string {
  const { atMost, atLeast, figure, of } = budget;
  const bound = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  return `${UNITS[figure]}${of === undefined ? '' : ` of ${of}`} ${shown(value, 2)}, ${bound}: **${outcome}**`;
}

function shown(value: number, digits: number): string {
  return Number.isFinite(value) ? value.toFixed(digits) : '';
}
