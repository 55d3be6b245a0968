import type { Sample } from './samples.ts';
import type { Growth } from './verdict.ts';

const mib = (bytes: number) => (bytes / 1024 ** 2).toFixed(1);

const COLUMNS: readonly { readonly title: string; show(sample: Sample): string | number }[] = [
  { title: 'seconds', show: ({ atMs }) => Math.round(atMs / 1000) },
  { title: 'visits', show: ({ visits }) => visits },
  { title: 'RSS MiB', show: ({ rssBytes }) => mib(rssBytes) },
  { title: 'heap MiB', show: ({ heapBytes }) => mib(heapBytes) },
  { title: 'descriptors', show: ({ descriptors }) => descriptors },
  { title: 'sockets', show: ({ sockets }) => sockets },
  { title: 'timers', show: ({ timers }) => timers },
  { title: 'series', show: ({ series }) => series },
  { title: 'held', show: ({ held }) => held },
];

const GAP = '  ';

export const heading = COLUMNS.map(({ title }) => title).join(GAP);

/** A line under `heading`. */
export function row(sample: Sample): string {
  return COLUMNS.map(({ title, show }) => String(show(sample)).padStart(title.length)).join(GAP);
}

/** A line for each figure: `timers: 12 -> 12, flat`. */
export function growthLines(growth: readonly Growth[]): string[] {
  return growth.map(({ figure, middle, last, isFlat }) => {
    const show = figure.endsWith('Bytes') ? (bytes: number) => `${mib(bytes)} MiB` : String;
    return `${figure.replace('Bytes', '')}: ${show(middle)} -> ${show(last)}, ${isFlat ? 'flat' : 'GREW'}`;
  });
}
