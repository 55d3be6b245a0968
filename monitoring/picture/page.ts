import type { Dashboard, Panel } from '@grafana/schema';
import { panelsOf } from '../../tests/support/monitoring/expressions.ts';
import type { Point, Series } from '../../tests/support/monitoring/prometheus.ts';

/** The time that is drawn. */
export interface Span {
  readonly startSeconds: number;
  readonly endSeconds: number;
}

/** What Prometheus returned for the expressions of a panel, in their order, by the panel's id. */
export type Results = ReadonlyMap<number | undefined, readonly (readonly Series[])[]>;

interface Line {
  readonly name: string;
  readonly points: readonly Point[];
  readonly color: string;
}

const COLORS = ['#73bf69', '#f2cc0c', '#8ab8ff', '#ff780a', '#f2495c', '#b877d9'];
const WIDTH = 500;
const HEIGHT = 120;
/** Points further apart than this are not connected. */
const GAP_SECONDS = 2;
const MEBI = 1024 ** 2;

/** One page with a small chart for each panel of a dashboard, drawn from the panels' own queries. */
export function dashboardPage(dashboard: Dashboard, results: Results, span: Span): string {
  const panels = panelsOf(dashboard).map((panel) => panelBox(panel, results.get(panel.id) ?? [], span));
  return `<!doctype html><meta charset="utf-8"><style>${STYLE}</style>
<h1>${escaped(dashboard.title ?? '')}</h1><main>${panels.join('')}</main>`;
}

function panelBox(panel: Panel, results: readonly (readonly Series[])[], span: Span): string {
  const { unit = 'short' } = panel.fieldConfig?.defaults ?? {};
  const lines = results
    .flatMap((series, index) =>
      series.map((one) => named(one, String(panel.targets?.[index]?.legendFormat ?? ''))),
    )
    .sort((one, another) => highestOf(another.points) - highestOf(one.points))
    .slice(0, COLORS.length)
    .map((line, index) => ({ ...line, color: COLORS[index] ?? '' }));
  const drawing = panel.type === 'stat' ? statOf(lines, unit) : chartOf(lines, unit, span);
  return `<section><h2>${escaped(panel.title ?? '')}</h2>${drawing}</section>`;
}

function statOf([line]: readonly Line[], unit: string): string {
  return `<b>${valueIn(unit, line?.points.at(-1)?.[1])}</b>`;
}

function chartOf(lines: readonly Line[], unit: string, { startSeconds, endSeconds }: Span): string {
  const highest = Math.max(0, ...lines.map(({ points }) => highestOf(points)));
  const x = (seconds: number) => ((seconds - startSeconds) / (endSeconds - startSeconds)) * WIDTH;
  const y = (value: number) => HEIGHT - (value / (highest || 1)) * (HEIGHT - 4);
  const paths = lines.map(({ points, color }) => `<path d="${pathOf(points, x, y)}" stroke="${color}"/>`);
  const legend = lines.map(
    ({ name, points, color }) =>
      `<span><i style="background:${color}"></i>${escaped(name)} ${valueIn(unit, points.at(-1)?.[1])}</span>`,
  );
  return `<small>up to ${valueIn(unit, highest)}</small><svg viewBox="0 0 ${WIDTH} ${HEIGHT}">${paths.join('')}</svg><p>${legend.join('')}</p>`;
}

/** What is missing is not drawn. */
function pathOf(points: readonly Point[], x: (at: number) => number, y: (value: number) => number): string {
  let before = Number.NEGATIVE_INFINITY;
  const steps = points.flatMap(([seconds, value]) => {
    if (!Number.isFinite(value)) return [];
    const step = `${seconds - before > GAP_SECONDS ? 'M' : 'L'}${x(seconds).toFixed(1)},${y(value).toFixed(1)}`;
    before = seconds;
    return [step];
  });
  return steps.join('');
}

/** `{{label}}` of a legend as this series has it. */
function named({ metric, points }: Series, legend: string): Omit<Line, 'color'> {
  return { name: legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label) => metric[label] ?? ''), points };
}

function highestOf(points: readonly Point[]): number {
  return Math.max(0, ...points.map(([, value]) => value).filter(Number.isFinite));
}

function valueIn(unit: string, value = Number.NaN): string {
  if (!Number.isFinite(value)) return '–';
  const rounded = Number((unit === 'bytes' ? value / MEBI : value).toPrecision(3));
  const names: Readonly<Record<string, string>> = {
    percent: ' %',
    reqps: ' req/s',
    ops: ' ops/s',
    s: ' s',
    bytes: ' MiB',
  };
  return `${rounded}${names[unit] ?? ''}`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

const STYLE = `
body { background: #111217; color: #ccccdc; font: 12px 'DejaVu Sans', sans-serif; margin: 12px; }
h1 { font-size: 18px; font-weight: 500; }
main { display: grid; grid-template-columns: repeat(3, 1fr); gap: 8px; }
section { background: #181b1f; border: 1px solid #25282d; border-radius: 3px; padding: 6px 10px; overflow: hidden; }
h2 { font-size: 12px; margin: 0 0 4px; }
b { font-size: 28px; font-weight: 600; }
small, p { color: #9fa3ab; font-size: 11px; margin: 0; }
svg { display: block; width: 100%; border-bottom: 1px solid #2c3036; }
path { fill: none; stroke-width: 1.5; }
span { display: inline-block; margin-right: 12px; }
i { display: inline-block; width: 12px; height: 4px; border-radius: 2px; margin-right: 5px; vertical-align: middle; }
`;
