import type { Figures } from '../measure/measure.ts';
import type { Verdict } from './budgets.ts';
import { type Figure, medianOf, ratioOf, type SubjectResult, valuesOf } from './results.ts';

const ABSENT = '–';

export const UNITS: Readonly<Record<Figure, string>> = {
  cpuUs: 'CPU us/request',
  cpuUsPerMiB: 'CPU us/MiB',
  requestsPerSecond: 'requests/s',
  corePercent: 'core %',
  p50Ms: 'p50 ms',
  p99Ms: 'p99 ms',
  p999Ms: 'p99.9 ms',
  rssMiB: 'RSS MiB',
  readyMs: 'ready ms',
};

/** What one run came to, for whoever watches. */
export function progressLine(subject: string, round: string, contender: string, figures: Figures): string {
  const parts = [
    rounded(figures.cpuUs, 1, ' us'),
    rounded(figures.requestsPerSecond, 0, '/s'),
    rounded(figures.p99Ms, 2, ' ms p99'),
    rounded(figures.readyMs, 0, ' ms to ready'),
    rounded(figures.rssMiB, 0, ' MiB'),
  ];
  return `${subject.padEnd(10)} ${round.padEnd(7)} ${contender.padEnd(26)} ${parts.filter((part) => part !== ABSENT).join('  ')}`;
}

/** Where and how long something was measured. */
export function runLine(
  { cpu, cores, node }: { readonly cpu: string; readonly cores: number; readonly node: string },
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): string {
  return `${cpu}, ${cores} cores, Node ${node}, ${rounds} rounds of ${seconds} s`;
}

/** Medians of every subject, with their ratios to the subject's references. */
export function resultTable(results: readonly SubjectResult[]): string {
  return results.map(subjectTable).join('\n\n');
}

export function verdictTable(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ budget, value, outcome }) => {
    const { subject, contender, figure, of, atMost, atLeast } = budget;
    const bound = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
    return [
      outcome === 'missed' ? 'MISSED' : outcome,
      subject,
      contender,
      UNITS[figure] + (of ? ` / ${of}` : ''),
      rounded(value, 2),
      bound,
    ];
  });
  return aligned([['budget', '', '', '', 'value', 'bound'], ...rows]);
}

/** For `--json`: every round of everything, with the medians and ratios of the table. */
export function resultsAsJson(results: readonly SubjectResult[]) {
  return results.map((result) => ({
    subject: result.name,
    title: result.title,
    missing: result.missing,
    contenders: [...result.rounds].map(([name, rounds]) => ({
      name,
      cpuRatios: Object.fromEntries(
        result.references.map((reference) => [reference, ratioOf(result, name, 'cpuUs', reference)]),
      ),
      medians: Object.fromEntries(
        (Object.keys(UNITS) as Figure[]).map((figure) => [figure, medianOf(result, name, figure)]),
      ),
      rounds,
    })),
  }));
}

function subjectTable(result: SubjectResult): string {
  const figures = (Object.keys(UNITS) as Figure[]).filter((figure) =>
    [...result.rounds.keys()].some((contender) => Number.isFinite(medianOf(result, contender, figure))),
  );
  const hasCpu = figures.includes('cpuUs');
  const references = hasCpu ? result.references.filter((name) => result.rounds.has(name)) : [];
  const head = [
    '',
    ...(hasCpu ? ['CPU us', 'min', 'max', ...references.map((name) => `/ ${name}`)] : []),
    ...figures.filter((figure) => figure !== 'cpuUs').map((figure) => UNITS[figure]),
  ];
  const rows = [...result.rounds.keys()].map((contender) => {
    const cpu = valuesOf(result, contender, 'cpuUs');
    const ratios = references.map((name) => rounded(ratioOf(result, contender, 'cpuUs', name), 2));
    return [
      contender,
      ...(hasCpu
        ? [
            median(result, contender, 'cpuUs'),
            ...[Math.min(...cpu), Math.max(...cpu)].map((us) => rounded(us, 1)),
            ...ratios,
          ]
        : []),
      ...figures.filter((figure) => figure !== 'cpuUs').map((figure) => median(result, contender, figure)),
    ];
  });
  const missing = result.missing.length > 0 ? `\n(not installed: ${result.missing.join(', ')})` : '';
  return `${result.name}: ${result.title}\n${aligned([head, ...rows])}${missing}`;
}

function median(result: SubjectResult, contender: string, figure: Figure): string {
  const digits = figure.endsWith('Ms') && figure !== 'readyMs' ? 2 : figure === 'cpuUs' ? 1 : 0;
  return rounded(medianOf(result, contender, figure), digits);
}

function rounded(value: number, digits: number, unit = ''): string {
  return Number.isFinite(value) ? value.toFixed(digits) + unit : ABSENT;
}

/** Columns as wide as their widest cell; names to the left, numbers to the right. */
export function aligned(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  const isText = widths.map((_, column) => rows.slice(1).some((row) => /^[a-z@]/i.test(row[column] ?? '')));
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          isText[column] ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
