import { median } from '../../bench/report/statistics.ts';
import type { Sample } from './samples.ts';
import type { Surprises } from './traffic.ts';

const MIB = 1024 ** 2;

type Figure = 'rssBytes' | 'heapBytes' | 'descriptors' | 'sockets' | 'timers' | 'series';

/** By how much the last third of a figure may exceed its middle third, at `clients` clients. */
function allowed(figure: Figure, middle: number, clients: number): number {
  switch (figure) {
    case 'rssBytes':
      return 0.1 * middle + 24 * MIB;
    case 'heapBytes':
      return 0.1 * middle + 8 * MIB;
    case 'series':
      // A service meets a rare status late, once; what grows with the visits exceeds this soon.
      return 0.01 * middle;
    default:
      // Connections to services are kept for a while, and there may be one for each client.
      return clients;
  }
}

export interface Growth {
  readonly figure: Figure;
  /** Medians of the second and the last third of the samples. */
  readonly middle: number;
  readonly last: number;
  readonly isFlat: boolean;
}

export function growthOf(samples: readonly Sample[], clients: number): Growth[] {
  const third = Math.floor(samples.length / 3);
  const figures = ['rssBytes', 'heapBytes', 'descriptors', 'sockets', 'timers', 'series'] as const;
  return figures.map((figure) => {
    const values = samples.map((sample) => sample[figure]);
    const [middle, last] = [median(values.slice(-2 * third, -third)), median(values.slice(-third))];
    return { figure, middle, last, isFlat: last - middle <= allowed(figure, middle, clients) };
  });
}

/** What speaks against the gateway, a line each; empty when nothing does. */
export function complaints(samples: readonly Sample[], clients: number, surprises: Surprises): string[] {
  const grown = growthOf(samples, clients).filter(({ isFlat }) => !isFlat);
  return [
    ...grown.map(({ figure, middle, last }) => `${figure} grew from ${middle} to ${last}`),
    ...samples
      .filter(({ held }) => held > 0)
      .map(({ held, atMs }) => `${held} held at ${Math.round(atMs / 1000)} s`),
    ...[...surprises].map(([surprise, count]) => `not expected: ${count} x ${surprise}`),
  ];
}
