import type { Point, Series } from '../../tests/support/monitoring/prometheus.ts';
import { inUnit } from './units.ts';

/** A series with the name its legend gives it. */
export interface Line {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface Span {
  readonly startSeconds: number;
  readonly endSeconds: number;
}

export interface Mark {
  readonly seconds: number;
  readonly color: string;
}

export interface Threshold {
  readonly value: number;
  readonly color: string;
}

export interface ChartOptions {
  readonly width: number;
  readonly height: number;
  readonly span: Span;
  readonly unit: string;
  readonly stacked: boolean;
  readonly marks: readonly Mark[];
  /** Values with a dashed line of their own. */
  readonly thresholds: readonly Threshold[];
  /** Percentages: their own scale at the right. */
  readonly onTheRight: ReadonlySet<string>;
}

const PALETTE = [
  '#73bf69',
  '#f2cc0c',
  '#8ab8ff',
  '#ff780a',
  '#f2495c',
  '#5794f2',
  '#b877d9',
  '#37872d',
  '#fade2a',
  '#fa6400',
  '#96d98d',
  '#ca95e5',
];
const MEBI = 1024 * 1024;
const MARGIN = { left: 64, right: 8, top: 8, bottom: 20 };
/** Right of a chart whose percentages have an axis there. */
const AXIS_WIDTH = 44;
/** What stands behind a chart. */
export const BACKGROUND = '#181b1f';
const TICKS = 4;
/** Points further apart than this belong to different stretches. */
const GAP_SECONDS = 2;
const TIME_LABEL_WIDTH = 75;

export function colorOf(index: number): string {
  return PALETTE[index % PALETTE.length] ?? '#fff';
}

/** Lines, one over the other or one on the other, between labelled axes. */
export function chart(lines: readonly Line[], options: ChartOptions): string {
  const { span, width, height, unit, stacked, marks, thresholds, onTheRight } = options;
  const drawn = stacked ? stack(lines) : lines;
  const left = drawn.filter(({ name }) => !onTheRight.has(name));
  const highest = Math.max(...left.flatMap(valuesOf), ...thresholds.map(({ value }) => value));
  const scale = unit === 'bytes' ? MEBI : 1;
  const top = niceTop(highest / scale) * scale;
  const right = width - (onTheRight.size > 0 ? AXIS_WIDTH : MARGIN.right);
  const x = (seconds: number) =>
    MARGIN.left +
    ((seconds - span.startSeconds) / (span.endSeconds - span.startSeconds)) * (right - MARGIN.left);
  const yIn = (scale: number) => (value: number) =>
    height - MARGIN.bottom - (value / scale) * (height - MARGIN.top - MARGIN.bottom);
  const paths = drawn.map((line, index) => {
    const color = colorOf(index);
    const y = onTheRight.has(line.name) ? yIn(100) : yIn(top);
    const fill = stacked || !onTheRight.has(line.name);
    return path(line.points, x, y, {
      color,
      bottom: fill ? y(0) : undefined,
      opacity: stacked ? 0.35 : 0.08,
      hides: stacked,
    });
  });
  // The highest of a stack first: each hides what the ones below it do not leave to it.
  if (stacked) paths.reverse();
  return svg(width, height, [
    horizontal(top, yIn(top), right, unit),
    onTheRight.size > 0 ? rightAxis(yIn(100), right) : '',
    vertical(span, x, height),
    ...paths,
    ...thresholds.map(({ value, color }) =>
      rule(MARGIN.left, yIn(top)(value), right, yIn(top)(value), color),
    ),
    ...marks.map(({ seconds, color }) =>
      rule(x(seconds), MARGIN.top, x(seconds), height - MARGIN.bottom, color),
    ),
  ]);
}

/** One row for each series in the colours of its values. */
export function timelineChart(
  lines: readonly Line[],
  colors: Readonly<Record<string, string>>,
  span: Span,
  width: number,
  height: number,
): string {
  const nameWidth = 288;
  const room = (height - MARGIN.bottom) / Math.max(1, lines.length);
  const x = (seconds: number) =>
    nameWidth +
    ((seconds - span.startSeconds) / (span.endSeconds - span.startSeconds)) * (width - nameWidth - 8);
  const rows = lines.map(({ name, points }, row) => {
    const y = row * room + 2;
    const pieces = points.map(([seconds, value], index) => {
      const from = x(seconds);
      const until = x(points[index + 1]?.[0] ?? seconds);
      return `<rect x="${round(from)}" y="${round(y)}" width="${round(until - from + 0.5)}" height="${round(room - 4)}" fill="${colors[value] ?? '#888'}"/>`;
    });
    return `${label(nameWidth - 8, y + room / 2 + 2, name, 'end')}${pieces.join('')}`;
  });
  return svg(width, height, [vertical(span, x, height), ...rows]);
}

/** A line without axes, to stand behind a number. */
export function sparkline(line: Line | undefined, span: Span, width: number, height: number): string {
  const points = (line?.points ?? []).filter(([, value]) => Number.isFinite(value));
  const top = Math.max(...points.map(([, value]) => value), Number.MIN_VALUE);
  const x = (seconds: number) =>
    ((seconds - span.startSeconds) / (span.endSeconds - span.startSeconds)) * width;
  const y = (value: number) => height - (value / top) * (height - 4);
  return svg(width, height, [path(points, x, y, { color: '#ffffff99', bottom: height, opacity: 0.18 })]);
}

/** `{{label}}` of a legend as this series has it. */
export function named(series: Series, legend: string): Line {
  const name = legend.replaceAll(/\{\{(\w+)\}\}/g, (_, given) => series.metric[given] ?? '');
  return { name, points: series.points };
}

export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function stack(lines: readonly Line[]): Line[] {
  const sums = new Map<number, number>();
  return lines.map(({ name, points }) => ({
    name,
    points: points.map(([seconds, value]): Point => {
      const sum = (sums.get(seconds) ?? 0) + (Number.isFinite(value) ? value : 0);
      sums.set(seconds, sum);
      return [seconds, sum];
    }),
  }));
}

function valuesOf({ points }: Line): number[] {
  return points.map(([, value]) => value).filter(Number.isFinite);
}

/** The next number whose quarters people can read. */
export function niceTop(highest: number): number {
  if (!Number.isFinite(highest) || highest <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(highest));
  return (
    ([1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10].find((step) => step * unit >= highest * 1.02) ?? 20) * unit
  );
}

type Scale = (value: number) => number;

interface Stroke {
  readonly color: string;
  /** Where the area under the line ends; none without. */
  readonly bottom: number | undefined;
  readonly opacity: number;
  /** Whether nothing shows through the area. */
  readonly hides?: boolean;
}

function path(points: readonly Point[], x: Scale, y: Scale, style: Stroke): string {
  return segments(points)
    .map((segment) => stroke(segment, x, y, style))
    .join('');
}

/** Stretches without a gap: what is not there is not drawn. */
export function segments(points: readonly Point[]): Point[][] {
  const pieces: Point[][] = [];
  for (const point of points) {
    if (!Number.isFinite(point[1])) continue;
    const last = pieces.at(-1);
    const before = last?.at(-1);
    if (last && before && point[0] - before[0] <= GAP_SECONDS) last.push(point);
    else pieces.push([point]);
  }
  return pieces;
}

function stroke(points: readonly Point[], x: Scale, y: Scale, style: Stroke): string {
  const { color, bottom, opacity, hides = false } = style;
  const [first] = points;
  const last = points.at(-1);
  if (!first || !last) return '';
  const line = points.map(([seconds, value]) => `${round(x(seconds))},${round(y(value))}`).join(' L');
  const drawing = `<path d="M${line}" fill="none" stroke="${color}" stroke-width="1.5"/>`;
  if (bottom === undefined) return drawing;
  const area = `M${round(x(first[0]))},${round(bottom)} L${line} L${round(x(last[0]))},${round(bottom)} Z`;
  const cover = hides ? `<path d="${area}" fill="${BACKGROUND}"/>` : '';
  return `${cover}<path d="${area}" fill="${color}" opacity="${opacity}"/>${drawing}`;
}

function horizontal(top: number, y: Scale, right: number, unit: string): string {
  return Array.from({ length: TICKS + 1 }, (_, tick) => {
    const value = (top * tick) / TICKS;
    const line = `<line x1="${MARGIN.left}" x2="${right}" y1="${round(y(value))}" y2="${round(y(value))}" stroke="#2c3036"/>`;
    return line + label(MARGIN.left - 6, y(value) + 4, inUnit(value, unit), 'end');
  }).join('');
}

function rightAxis(y: Scale, right: number): string {
  return [0, 50, 100].map((value) => label(right + 6, y(value) + 4, `${value} %`, 'start')).join('');
}

function vertical({ startSeconds, endSeconds }: Span, x: Scale, height: number): string {
  const room = (x(endSeconds) - x(startSeconds)) / TIME_LABEL_WIDTH;
  const every = [5, 10, 15, 30, 60].find((step) => (endSeconds - startSeconds) / step <= room) ?? 120;
  const ticks: string[] = [];
  // The last whose name has room.
  const until = endSeconds - every / 4;
  for (let at = Math.ceil(startSeconds / every) * every; at < until; at += every) {
    ticks.push(label(x(at), height - 5, new Date(at * 1000).toISOString().slice(11, 19), 'middle'));
  }
  return ticks.join('');
}

function rule(x1: number, y1: number, x2: number, y2: number, color: string): string {
  return `<line x1="${round(x1)}" y1="${round(y1)}" x2="${round(x2)}" y2="${round(y2)}" stroke="${color}" stroke-dasharray="4 4" opacity="0.8"/>`;
}

function label(x: number, y: number, text: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escapeHtml(text)}</text>`;
}

function svg(width: number, height: number, parts: readonly string[]): string {
  return `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">${parts.join('')}</svg>`;
}

function round(value: number): string {
  return value.toFixed(1);
}
