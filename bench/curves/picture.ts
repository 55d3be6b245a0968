import { escapeXml } from '../report/picture.ts';
import { UNITS } from '../report/report.ts';
import { medianOf, type SubjectResult, valuesOf } from '../report/results.ts';
import { median } from '../report/statistics.ts';
import { type Curve, pointName } from './curve.ts';

/** What is drawn of one line at one point. */
interface Mark {
  readonly n: number;
  readonly median: number;
  readonly least: number;
  readonly most: number;
}

const WIDTH = 760;
const HEIGHT = 300;
const MARGIN = { left: 64, right: 40, top: 44, bottom: 44 };
const TICKS = 4;
/** Readable on white as on black. */
const COLORS = ['#3b82f6', '#d97706', '#16a34a', '#a855f7'];
const INK = '#80868f';
/** What is flat stays in it. */
const BAND = 0.1;
/** The points whose median is the middle of the band. */
const FIRST_POINTS = 3;
const ROOM_FOR_A_NAME = 170;

/** The medians of each line over a logarithmic axis, the spread of their rounds, and what is within 10 % of the first. */
export function curvePicture(curve: Curve, results: readonly SubjectResult[]): string {
  const lines = results.map((result) => marksOf(curve, result)).filter((marks) => marks.length > 0);
  const all = lines.flat();
  const top = niceTop(Math.max(...all.map(({ most }) => most)));
  const x = logarithmic(Math.min(...all.map(({ n }) => n)), Math.max(...all.map(({ n }) => n)));
  const y = (value: number) => HEIGHT - MARGIN.bottom - (value / top) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const parts = [
    grid(top, y),
    ...(lines[0] ?? []).map(({ n }) =>
      label(x(n), HEIGHT - MARGIN.bottom + 18, pointName(curve, n), 'middle'),
    ),
    label((MARGIN.left + WIDTH - MARGIN.right) / 2, HEIGHT - 8, `${curve.axis}, logarithmic`, 'middle'),
    label(8, 18, UNITS[curve.figure ?? 'cpuUs'], 'start'),
    ...lines.map((marks, index) => band(marks, y, colorOf(index))),
    ...lines.map((marks, index) => line(marks, x, y, colorOf(index))),
    ...(lines.length > 1 ? results.map(legend) : (lines[0] ?? []).map((mark) => valueAt(mark, x, y))),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" fill="${INK}">
<title>${escapeXml(`${UNITS[curve.figure ?? 'cpuUs']}: ${curve.title}`)}</title>
${parts.join('\n')}
</svg>
`;
}

function marksOf(curve: Curve, result: SubjectResult): Mark[] {
  const { figure = 'cpuUs', drawnFrom = 0 } = curve;
  return curve.points
    .filter((n) => n >= drawnFrom && result.rounds.has(pointName(curve, n)))
    .map((n) => {
      const name = pointName(curve, n);
      const values = valuesOf(result, name, figure);
      return {
        n,
        median: medianOf(result, name, figure),
        least: Math.min(...values),
        most: Math.max(...values),
      };
    });
}

/** The next number whose quarters people can read. */
function niceTop(highest: number): number {
  const unit = 10 ** Math.floor(Math.log10(highest));
  const steps = [1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10];
  return (steps.find((step) => step * unit >= highest * 1.02) ?? 20) * unit;
}

function logarithmic(first: number, last: number): (n: number) => number {
  const decades = Math.log10(last / first) || 1;
  return (n) => MARGIN.left + (Math.log10(n / first) / decades) * (WIDTH - MARGIN.left - MARGIN.right);
}

function grid(top: number, y: (value: number) => number): string {
  return Array.from({ length: TICKS + 1 }, (_, tick) => {
    const value = (top * tick) / TICKS;
    return `<path d="M${MARGIN.left} ${round(y(value))}H${WIDTH - MARGIN.right}" stroke="${INK}" stroke-opacity="0.3"/>${label(MARGIN.left - 8, y(value) + 4, value.toLocaleString('en'), 'end')}`;
  }).join('\n');
}

function band(marks: readonly Mark[], y: (value: number) => number, color: string): string {
  const middle = median(marks.slice(0, FIRST_POINTS).map((mark) => mark.median));
  const [upper, lower] = [y(middle * (1 + BAND)), y(middle * (1 - BAND))];
  return `<rect x="${MARGIN.left}" y="${round(upper)}" width="${WIDTH - MARGIN.left - MARGIN.right}" height="${round(lower - upper)}" fill="${color}" fill-opacity="0.15"/>`;
}

function line(
  marks: readonly Mark[],
  x: (n: number) => number,
  y: (value: number) => number,
  color: string,
): string {
  const points = marks.map((mark) => `${round(x(mark.n))},${round(y(mark.median))}`).join(' ');
  const spread = marks
    .map(({ n, least, most }) => `M${round(x(n))} ${round(y(least))}V${round(y(most))}`)
    .join('');
  const dots = marks
    .map((mark) => `<circle cx="${round(x(mark.n))}" cy="${round(y(mark.median))}" r="3" fill="${color}"/>`)
    .join('');
  return `<polyline points="${points}" fill="none" stroke="${color}" stroke-width="2"/><path d="${spread}" stroke="${color}" stroke-width="1"/>${dots}`;
}

function valueAt(mark: Mark, x: (n: number) => number, y: (value: number) => number): string {
  return label(x(mark.n), y(mark.most) - 8, String(Number(mark.median.toPrecision(3))), 'middle');
}

function legend({ name }: SubjectResult, index: number): string {
  const at = MARGIN.left + 40 + index * ROOM_FOR_A_NAME;
  // The name of the curve stands above the picture.
  const lineName = name.slice(name.indexOf(', ') + 2);
  return `<rect x="${at}" y="10" width="10" height="10" fill="${colorOf(index)}"/>${label(at + 16, 19, lineName, 'start')}`;
}

function label(x: number, y: number, text: string, anchor: 'start' | 'middle' | 'end'): string {
  return `<text x="${round(x)}" y="${round(y)}" text-anchor="${anchor}">${escapeXml(text)}</text>`;
}

function colorOf(index: number): string {
  return COLORS[index % COLORS.length] as string;
}

function round(value: number): string {
  return value.toFixed(1);
}
