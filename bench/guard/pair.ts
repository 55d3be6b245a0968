import { setTimeout as sleep } from 'node:timers/promises';
import { runLoad } from '../load/load.ts';
import { usageOf } from '../machine/accounting.ts';
import { type Disturbance, watchMachine } from '../machine/disturbance.ts';
import { assertNoErrors, verify } from '../measure/verify.ts';
import {
  addressOf,
  type GatewayOptions,
  type Server,
  type ServerName,
  startServer,
} from '../servers/servers.ts';
import type { Site } from '../servers/site.ts';
import { type Mode, subjectOf } from './modes.ts';

/** What is left over of a run, such as closing its connections, is part of its cost. */
const SETTLE_MS = 100;

/** CPU time per request of both gateways, in microseconds, over all rounds of one mode. */
export interface ModeCost {
  readonly mode: string;
  readonly beforeUs: number;
  readonly nowUs: number;
}

export interface PairResult {
  readonly costs: readonly ModeCost[];
  readonly disturbance: Disturbance;
}

export interface PairOptions {
  readonly site: Site;
  readonly modes: readonly Mode[];
  /** What each of the two is started with. */
  readonly start: Readonly<Record<Side, GatewayOptions>>;
  readonly rounds: number;
  readonly seconds: number;
  /** In seconds. */
  readonly warmUp: number;
  /** Called with a line for whoever watches. */
  readonly onProgress: (line: string) => void;
}

export type Side = 'before' | 'now';

interface Gateways {
  readonly before: Server;
  readonly now: Server;
}

/** CPU seconds and requests, summed up. */
interface Spent {
  cpuSeconds: number;
  requests: number;
}

/** Compares two fresh processes. `number` decides which one is started, and goes, first. */
export async function runPair(number: number, options: Readonly<PairOptions>): Promise<PairResult> {
  const isNowFirst = number % 2 === 0;
  const order: readonly Side[] = isNowFirst ? ['now', 'before'] : ['before', 'now'];
  const started = new Map<Side, Server>();
  try {
    for (const side of order) started.set(side, await start(side, options));
    const [before, now] = [started.get('before'), started.get('now')];
    if (!before || !now) throw new Error('two gateways were started');
    const disturbance = watchMachine();
    const costs: ModeCost[] = [];
    for (const mode of options.modes) {
      const cost = await compare(mode, { before, now }, isNowFirst, options);
      options.onProgress(
        `  ${mode.name.padEnd(17)} ${cost.beforeUs.toFixed(1)} us before, ${cost.nowUs.toFixed(1)} us now`,
      );
      costs.push(cost);
    }
    return { costs, disturbance: disturbance() };
  } finally {
    await Promise.all([...started.values()].map((server) => server.stop()));
  }
}

const NAMES: Readonly<Record<Side, ServerName>> = { before: 'gateway before', now: 'gateway' };

async function start(side: Side, { site, start: options }: PairOptions): Promise<Server> {
  const env = { CACHE_MAX_BYTES: '1GiB' };
  const server = await startServer(NAMES[side], site, { ...options[side], env });
  if (!server) throw new Error(`${NAMES[side]} cannot be started here`);
  return server;
}

async function compare(
  mode: Mode,
  { before, now }: Gateways,
  isNowFirst: boolean,
  options: Readonly<PairOptions>,
): Promise<ModeCost> {
  const spent = new Map<Server, Spent>();
  for (const server of [before, now]) {
    spent.set(server, { cpuSeconds: 0, requests: 0 });
    await verify(subjectOf(mode), { ...mode, server: server.name }, server, options.site);
  }
  // By turns already here: what has just been compiled for one must not rest while the other gets all of it.
  for (let second = 0; second < options.warmUp; second += 1) {
    for (const server of [before, now]) await measure(mode, server, { ...options, seconds: 1 });
  }
  for (let round = 0; round < options.rounds; round += 1) {
    const servers = (round % 2 === 0) === isNowFirst ? [now, before] : [before, now];
    for (const server of servers) add(spent.get(server), await measure(mode, server, options));
  }
  const costUs = (server: Server) => {
    const { cpuSeconds, requests } = spent.get(server) ?? { cpuSeconds: Number.NaN, requests: 1 };
    return (cpuSeconds / requests) * 1e6;
  };
  return { mode: mode.name, beforeUs: costUs(before), nowUs: costUs(now) };
}

/** Puts one gateway under load once. Throws `WrongResponseError` when a response was not what it should be. */
async function measure(
  mode: Mode,
  server: Server,
  { site, seconds }: Pick<PairOptions, 'site' | 'seconds'>,
): Promise<Spent> {
  const subject = subjectOf(mode);
  const address = addressOf(server, mode.request);
  const cpuBefore = usageOf(server.pid).cpuSeconds;
  const load = await runLoad({ site, subject, request: mode.request, address, seconds, rate: undefined });
  await sleep(SETTLE_MS);
  assertNoErrors(`${mode.name}: ${server.name}`, subject.expects, load);
  return { cpuSeconds: usageOf(server.pid).cpuSeconds - cpuBefore, requests: load.requests };
}

function add(sum: Spent | undefined, { cpuSeconds, requests }: Spent): void {
  if (!sum) return;
  sum.cpuSeconds += cpuSeconds;
  sum.requests += requests;
}
