import { setTimeout as sleep } from 'node:timers/promises';
import { leadIn } from '../load/load.ts';
import { usageOf } from '../machine/accounting.ts';
import { addressOf, type Server } from '../servers/servers.ts';
import type { Site } from '../servers/site.ts';
import { assertCounts, gatewayCounts } from './gatewayCounts.ts';
import type { Contender, Subject } from './subjects.ts';
import { assertNoErrors } from './verify.ts';

/** What one run of one contender came to. What cannot be measured is NaN. */
export interface Figures {
  /** CPU time per request, in microseconds. */
  readonly cpuUs: number;
  readonly requestsPerSecond: number;
  /** The same for each MiB of content, where that is what there is much of. */
  readonly cpuUsPerMiB: number;
  /** How much of a core it got, in percent. Far below 100 for a slow contender: others had the core. */
  readonly corePercent: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** Resident memory at the end. */
  readonly rssMiB: number;
  /** From its start until it is ready. */
  readonly readyMs: number;
}

export const NO_FIGURES: Figures = {
  cpuUs: Number.NaN,
  requestsPerSecond: Number.NaN,
  cpuUsPerMiB: Number.NaN,
  corePercent: Number.NaN,
  p50Ms: Number.NaN,
  p99Ms: Number.NaN,
  p999Ms: Number.NaN,
  rssMiB: Number.NaN,
  readyMs: Number.NaN,
};

/** What is left over of a run, such as closing its connections, is part of its cost. */
const SETTLE_MS = 100;

export interface Run {
  readonly site: Site;
  readonly subject: Subject;
  readonly contender: Contender;
  readonly server: Server;
  readonly seconds: number;
  readonly rate: number | undefined;
}

/** Puts one contender under load. Throws `WrongResponseError` when anything but the expected answer came back. */
export async function measure({ site, subject, contender, server, seconds, rate }: Run): Promise<Figures> {
  const isGateway = server.name.startsWith('gateway');
  const address = addressOf(server, contender.request);
  // Before the lead-in, whose answers are to be right as well: this waits a moment.
  const before = isGateway ? await gatewayCounts(server.internalAddress) : undefined;
  // What has rested while others were measured has to wake first.
  const turn = await leadIn({ site, subject, request: contender.request, address, seconds, rate });
  const cpuBefore = cpuSeconds(server);
  const load = await turn.run();
  await sleep(SETTLE_MS);
  const cpu = cpuSeconds(server) - cpuBefore;
  await turn.end();
  assertNoErrors(`${subject.name}: ${contender.name}`, subject.expects, load);
  if (before && subject.kind === 'http') {
    const after = await gatewayCounts(server.internalAddress);
    assertCounts(contender, subject.expects, { before, after, requests: load.requests });
  }
  return {
    ...NO_FIGURES,
    cpuUs: (cpu / load.requests) * 1e6,
    cpuUsPerMiB: (cpu / load.requests / (subject.mibPerRequest ?? Number.NaN)) * 1e6,
    requestsPerSecond: load.requests / load.seconds,
    corePercent: (cpu / load.seconds) * 100,
    p50Ms: load.p50Ms,
    p99Ms: load.p99Ms,
    p999Ms: load.p999Ms,
    rssMiB: server.pid ? usageOf(server.pid).rssBytes / 2 ** 20 : Number.NaN,
  };
}

function cpuSeconds({ pid }: Server): number {
  return pid ? usageOf(pid).cpuSeconds : Number.NaN;
}
