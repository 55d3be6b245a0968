import type { Expectation, LoadRequest } from '../measure/subjects.ts';
import type { Figure } from '../report/results.ts';
import type { GatewayOptions } from '../servers/servers.ts';
import type { Site } from '../servers/site.ts';

const BINARY_PREFIXES = ['B', 'KiB', 'MiB', 'GiB'];

/** How the cost of a request grows with something. */
export interface Curve {
  readonly name: string;
  readonly title: string;
  /** What grows. */
  readonly axis: string;
  /** How points are written. Default: plain numbers. */
  readonly unit?: 'bytes';
  /** Where it is measured, in rising order. */
  readonly points: readonly number[];
  /** What a gateway for that point is started with. Default: nothing special. */
  readonly gateway?: (n: number, site: Site) => GatewayOptions;
  readonly lines: readonly CurveLine[];
  /** What should be flat. Default: CPU time per request. */
  readonly figure?: Figure;
  /** From which point on it should. Default: the first. */
  readonly drawnFrom?: number;
}

/** A point as tables and pictures have it. */
export function pointName({ unit }: Pick<Curve, 'unit'>, n: number): string {
  if (!unit) return n.toLocaleString('en');
  const power = Math.min(Math.floor(Math.log2(n) / 10), BINARY_PREFIXES.length - 1);
  return `${Number((n / 1024 ** power).toPrecision(3))} ${BINARY_PREFIXES[power]}`;
}

/** One way of asking, measured at every point of a curve. */
export interface CurveLine {
  readonly name: string;
  /** Called once for each point. */
  readonly load: (n: number, site: Site) => PointLoad;
}

/** What a gateway is asked at a point. */
export interface PointLoad {
  readonly request: LoadRequest;
  readonly expects: Expectation;
  /** Default 50. */
  readonly connections?: number;
  /** How many of them ask at a time. Default: all. */
  readonly atATime?: number;
  readonly mibPerRequest?: number;
  readonly cache?: 'HIT' | 'MISS';
}
