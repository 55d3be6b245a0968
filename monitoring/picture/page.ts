import type { Dashboard, GridPos, Panel } from '@grafana/schema';
import { panelsOf } from '../../tests/support/monitoring/expressions.ts';
import type { Series } from '../../tests/support/monitoring/prometheus.ts';
import {
  BACKGROUND,
  chart,
  colorOf,
  escapeHtml,
  type Line,
  type Mark,
  named,
  type Span,
  segments,
  sparkline,
  timelineChart,
} from './svg.ts';
import { inUnit } from './units.ts';

const WIDTH = 1600;
const COLUMN = WIDTH / 24;
const UNIT_HEIGHT = 34;
const GAP = 8;
const TITLE_HEIGHT = 26;
const LEGEND_LINE_HEIGHT = 16;
const LEGEND_LINES = 6;
/** Of a number's panel: the sketch below it. */
const SPARK_SHARE = 0.26;

const NAMED_COLORS: Readonly<Record<string, string>> = {
  green: '#56a64b',
  orange: '#ff9830',
  red: '#e02f44',
  blue: '#5794f2',
};

/** What Prometheus answered to each expression of a panel, or of an annotation, in their order. */
export type Answers = ReadonlyMap<string, readonly (readonly Series[])[]>;

/** The key of a panel's answers: titles may repeat, ids do not. */
export function panelKey({ id }: Panel): string {
  return `panel ${id}`;
}

/** One page that shows a dashboard's own queries and data, much as Grafana would. */
export function dashboardPage(dashboard: Dashboard, answers: Answers, span: Span): string {
  const marks = marksOf(dashboard, answers, span);
  const panels = panelsOf(dashboard).map((panel) => {
    const position = panel.gridPos ?? { x: 0, y: 0, w: 0, h: 0 };
    return box(
      position,
      'panel',
      content(panel, answers.get(panelKey(panel)) ?? [], { span, marks, position }),
    );
  });
  const headings = (dashboard.panels ?? [])
    .filter(({ type }) => type === 'row')
    .map(({ title, gridPos }) => box(gridPos ?? { x: 0, y: 0, w: 0, h: 0 }, 'row', escapeHtml(title ?? '')));
  const height = Math.max(...panelsOf(dashboard).map(({ gridPos }) => (gridPos ? gridPos.y + gridPos.h : 0)));
  return `<!doctype html><meta charset="utf-8"><style>${STYLE}</style>
<h1>${escapeHtml(dashboard.title ?? '')}<small>${legendOfMarks(dashboard)}</small></h1>
<main style="height:${height * UNIT_HEIGHT}px">${headings.join('')}${panels.join('')}</main>`;
}

/** As the panel's own transformation has it. */
function renamed({ transformations = [] }: Panel, line: Line): Line {
  const [rename] = transformations.filter(({ id }) => id === 'renameByRegex');
  if (!rename) return line;
  const { regex, renamePattern } = rename.options as Readonly<Record<string, string>>;
  return { ...line, name: line.name.replace(new RegExp(regex ?? ''), renamePattern ?? '') };
}

/** What the dashed lines that cross all graphs stand for. */
function legendOfMarks({ annotations }: Dashboard): string {
  const entries = (annotations?.list ?? []).map(
    ({ name, iconColor }) =>
      `<span><i style="background:${NAMED_COLORS[iconColor] ?? iconColor}"></i>${escapeHtml(name)}</span>`,
  );
  return entries.join('');
}

interface Frame {
  readonly span: Span;
  readonly marks: readonly Mark[];
  readonly position: GridPos;
}

function content(panel: Panel, answers: readonly (readonly Series[])[], frame: Frame): string {
  const lines = answers.flatMap((series, index) =>
    series.map((one) => renamed(panel, named(one, String(panel.targets?.[index]?.legendFormat ?? '')))),
  );
  const title = `<h2>${escapeHtml(panel.title ?? '')}</h2>`;
  if (panel.type === 'stat') return title + statContent(panel, lines, frame);
  if (panel.type === 'state-timeline') return title + timelineContent(panel, lines, frame);
  return title + graphContent(panel, lines, frame);
}

function statContent({ fieldConfig }: Panel, [line]: readonly Line[], { span, position }: Frame): string {
  const { unit = 'short', thresholds, mappings = [] } = fieldConfig?.defaults ?? {};
  const value = line?.points.at(-1)?.[1] ?? Number.NaN;
  const [mapping] = mappings;
  const word = mapping?.type === 'value' ? mapping.options[String(value)] : undefined;
  const step = thresholds?.steps.findLast(({ value: from }) => from === null || value >= from);
  const color = NAMED_COLORS[word?.color ?? step?.color ?? 'green'];
  const { width, height } = sizeOf(position);
  const sketch = sparkline(line, span, width, height * SPARK_SHARE);
  return `<div class="stat" style="background:${color}"><b>${escapeHtml(word?.text ?? inUnit(value, unit))}</b>${sketch}</div>`;
}

function timelineContent({ fieldConfig }: Panel, lines: readonly Line[], { span, position }: Frame): string {
  const [mapping] = fieldConfig?.defaults.mappings ?? [];
  const words = mapping?.type === 'value' ? Object.entries(mapping.options) : [];
  const colors = Object.fromEntries(
    words.map(([value, { color }]) => [value, NAMED_COLORS[color ?? 'green'] ?? '']),
  );
  const { width, height } = sizeOf(position);
  const legend = words.map(
    ([value, { text }]) => `<span><i style="background:${colors[value]}"></i>${text}</span>`,
  );
  const drawing = timelineChart(lines, colors, span, width, height - TITLE_HEIGHT - LEGEND_LINE_HEIGHT - 6);
  return `${drawing}<p>${legend.join('')}</p>`;
}

function graphContent(
  { fieldConfig }: Panel,
  lines: readonly Line[],
  { span, marks, position }: Frame,
): string {
  const { unit = 'short', custom = {}, thresholds } = fieldConfig?.defaults ?? {};
  const stacked = Object(custom.stacking).mode === 'normal';
  const onTheRight = new Set(fieldConfig?.overrides.map(({ matcher }) => String(matcher.options)));
  const shown = lines
    .map((line, index) => ({ ...line, color: colorOf(index), highest: highestOf(line) }))
    .sort((one, another) => another.highest - one.highest)
    .slice(0, LEGEND_LINES);
  const { width, height } = sizeOf(position);
  const legendHeight = (1 + shown.length + (lines.length > shown.length ? 1 : 0)) * LEGEND_LINE_HEIGHT;
  const drawing = chart(lines, {
    span,
    marks,
    unit,
    stacked,
    onTheRight,
    thresholds: (thresholds?.steps ?? []).flatMap(({ value, color }) =>
      value === null ? [] : [{ value, color: NAMED_COLORS[color] ?? color }],
    ),
    width,
    height: height - TITLE_HEIGHT - legendHeight - 8,
  });
  const rows = shown.map(({ name, points, color, highest }) => {
    const of = (value = Number.NaN) => inUnit(value, onTheRight.has(name) ? 'percent' : unit);
    const last = points.findLast(([, value]) => Number.isFinite(value))?.[1];
    return `<tr><td><i style="background:${color}"></i>${escapeHtml(name)}</td><td>${of(last)}</td><td>${of(highest)}</td></tr>`;
  });
  rows.unshift('<tr><td></td><td>Last</td><td>Max</td></tr>');
  const more = lines.length - shown.length;
  if (more > 0) rows.push(`<tr><td>and ${more} more</td></tr>`);
  return `${drawing}<table>${rows.join('')}</table>`;
}

function highestOf({ points }: Line): number {
  return Math.max(...points.map(([, value]) => value).filter(Number.isFinite));
}

/** Annotations: the first moment of each stretch that the query covers. */
function marksOf({ annotations }: Dashboard, answers: Answers, { startSeconds }: Span): Mark[] {
  return (annotations?.list ?? []).flatMap(({ name, iconColor }) =>
    (answers.get(`annotation ${name}`) ?? []).flat().flatMap(({ points }) => {
      const starts = segments(points).flatMap(([first]) => (first ? [first[0]] : []));
      return starts
        .filter((seconds) => seconds > startSeconds)
        .map((seconds) => ({ seconds, color: NAMED_COLORS[iconColor] ?? iconColor }));
    }),
  );
}

function sizeOf({ w, h }: GridPos): { width: number; height: number } {
  return { width: Math.floor(w * COLUMN - GAP - 16), height: h * UNIT_HEIGHT - GAP };
}

function box({ x, y, w, h }: GridPos, kind: string, inside: string): string {
  const place = `left:${x * COLUMN}px;top:${y * UNIT_HEIGHT}px;width:${w * COLUMN - GAP}px;height:${h * UNIT_HEIGHT - GAP}px`;
  return `<section class="${kind}" style="${place}">${inside}</section>`;
}

const STYLE = `
* { box-sizing: border-box; margin: 0; }
body { background: #111217; color: #ccccdc; font: 12px/1.3 'DejaVu Sans', sans-serif; width: ${WIDTH + 16}px; padding: 12px 8px; }
h1 { font-size: 18px; font-weight: 500; padding: 0 4px 8px; }
h1 small { float: right; font-size: 11px; line-height: 24px; }
h1 span { margin-left: 16px; }
main { position: relative; }
section { position: absolute; overflow: hidden; }
.panel { background: ${BACKGROUND}; border: 1px solid #25282d; border-radius: 3px; padding: 0 8px; }
.row { font-size: 14px; padding-top: 8px; }
h2 { font-size: 12px; font-weight: 600; line-height: ${TITLE_HEIGHT}px; }
svg { display: block; }
svg rect { shape-rendering: crispEdges; }
svg text { fill: #9fa3ab; font-size: 10px; }
table { border-collapse: collapse; width: 100%; }
table { table-layout: fixed; }
td { line-height: ${LEGEND_LINE_HEIGHT}px; padding: 0; font-size: 11px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
td + td { text-align: right; color: #9fa3ab; width: 84px; }
tr:first-child { color: #5794f2; }
i { display: inline-block; width: 12px; height: 4px; border-radius: 2px; margin-right: 6px; vertical-align: middle; }
p span { margin-right: 12px; font-size: 11px; }
.stat { position: absolute; inset: ${TITLE_HEIGHT}px 8px 8px; border-radius: 3px; text-align: center; color: #fff; }
.stat b { position: absolute; inset: 12px 0 auto; font-size: 24px; font-weight: 600; }
.stat svg { position: absolute; bottom: 0; left: 0; }
`;
