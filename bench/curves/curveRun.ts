import { startGateway } from '../measure/idle.ts';
import { type Figures, measure } from '../measure/measure.ts';
import type { Contender, Subject } from '../measure/subjects.ts';
import { verify } from '../measure/verify.ts';
import { warmUp } from '../measure/warmUp.ts';
import { progressLine } from '../report/report.ts';
import type { SubjectResult } from '../report/results.ts';
import { shuffled } from '../report/statistics.ts';
import type { Server } from '../servers/servers.ts';
import type { Site } from '../servers/site.ts';
import { type Curve, pointName } from './curve.ts';

export interface CurveRunOptions {
  readonly site: Site;
  readonly rounds: number;
  readonly seconds: number;
  /** Requests that each point gets at the least before it is measured; 0: none. */
  readonly warmUp: number;
  /** The last point measured. */
  readonly upTo: number;
  readonly random: () => number;
  /** Called with a line for whoever watches. */
  readonly onProgress: (line: string) => void;
}

const CONNECTIONS = 50;
/** Nobody is given up because the machine is busy otherwise. */
const PATIENT = { REQUEST_TIMEOUT: '60s' };
/** While others are measured a gateway rests; V8 would then shrink its heap, which grows back only slowly. */
const NODE_OPTIONS = ['--no-memory-reducer'];

/** One line at one point. */
interface Place {
  readonly subject: Subject;
  readonly contender: Contender;
  readonly server: Server;
  readonly readyMs: number;
}

/**
 * Measures a curve: a gateway for each point, all started once and put under load in turn. Each line is a subject
 * whose contenders are the points. Throws `WrongResponseError` when one does not answer as it should.
 */
export async function runCurve(curve: Curve, options: CurveRunOptions): Promise<SubjectResult[]> {
  const gateways: Server[] = [];
  try {
    const places: Place[] = [];
    for (const n of curve.points.filter((point) => point <= options.upTo)) {
      const { env, ...own } = curve.gateway?.(n, options.site) ?? {};
      const { gateway, readyMs } = await startGateway(options.site, {
        nodeOptions: NODE_OPTIONS,
        ...own,
        env: { ...PATIENT, ...env },
      });
      gateways.push(gateway);
      for (const asked of subjectsAt(n, curve, options.site))
        places.push({ ...asked, server: gateway, readyMs });
    }
    return await measureAll(places, options);
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  }
}

/** A subject for each line, whose one contender is the point. */
function subjectsAt(n: number, curve: Curve, site: Site): Pick<Place, 'subject' | 'contender'>[] {
  return curve.lines.map((line) => {
    const { request, expects, connections = CONNECTIONS, cache, ...load } = line.load(n, site);
    const subject: Subject = {
      name: `${curve.name}, ${line.name}`,
      title: curve.title,
      kind: 'http',
      connections,
      atATime: connections,
      ...load,
      expects,
      contenders: [],
      references: curve.points.slice(0, 1).map((first) => pointName(curve, first)),
    };
    const contender = {
      name: pointName(curve, n),
      server: 'gateway',
      request,
      ...(cache && { cache }),
    } as const;
    return { subject, contender };
  });
}

async function measureAll(places: readonly Place[], options: CurveRunOptions): Promise<SubjectResult[]> {
  const results = new Map<string, Map<string, Figures[]>>();
  for (const place of places) {
    const { subject, contender, server } = place;
    await verify(subject, contender, server, options.site);
    await warmUpPlace(place, options);
    results.set(subject.name, (results.get(subject.name) ?? new Map()).set(contender.name, []));
  }
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const place of shuffled(places, options.random)) {
      const figures = await measureOnce(place, `${round}/${options.rounds}`, options);
      results.get(place.subject.name)?.get(place.contender.name)?.push(figures);
    }
  }
  return [...results].map(([name, rounds]) => {
    const { title = '', references = [] } =
      places.find(({ subject }) => subject.name === name)?.subject ?? {};
    return { name, title, references, rounds, missing: [] };
  });
}

async function warmUpPlace(place: Place, options: CurveRunOptions): Promise<void> {
  // What is cached in the end is asked for the first time now.
  const { cache: _, ...contender } = place.contender;
  await warmUp({
    requests: options.warmUp,
    seconds: options.seconds,
    mibPerRequest: place.subject.mibPerRequest,
    measure: (seconds) => measureOnce({ ...place, contender }, 'warm-up', { ...options, seconds }),
  });
}

async function measureOnce(place: Place, round: string, options: CurveRunOptions): Promise<Figures> {
  const { subject, contender, server, readyMs } = place;
  const { site, seconds, onProgress } = options;
  const figures = await measure({ site, subject, contender, server, seconds, rate: undefined });
  onProgress(progressLine(subject.name, round, contender.name, figures));
  return { ...figures, readyMs };
}
