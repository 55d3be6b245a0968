import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { eventually } from '../support/eventually.ts';
import type { GatewayProcess } from '../support/gateway/gatewayProcess.ts';
import type { Holdings } from './inspect.ts';

/** What the gateway holds while nothing is under way. */
export interface Sample extends Holdings {
  readonly atMs: number;
  readonly visits: number;
  readonly rssBytes: number;
  readonly descriptors: number;
  readonly sockets: number;
  readonly series: number;
  /** Requests that it still takes for being under way. */
  readonly held: number;
}

const LET_GO_WITHIN_MS = 10_000;

/** Measures the gateway once it has let go of every request, or after 10 s. */
export async function takeSample(gateway: GatewayProcess): Promise<Omit<Sample, 'atMs' | 'visits'>> {
  await eventually(
    'nothing is held',
    async () => heldIn(await metricsOf(gateway)) === 0,
    LET_GO_WITHIN_MS,
  ).catch(() => {});
  const metrics = await metricsOf(gateway);
  const answered = once(gateway.child, 'message');
  gateway.child.send('holdings');
  const [holdings] = (await answered) as [Holdings];
  const descriptors = descriptorsOf(gateway.pid);
  return {
    ...holdings,
    rssBytes: gateway.rssBytes(),
    descriptors: descriptors.length,
    sockets: descriptors.filter((target) => target.startsWith('socket:')).length,
    series: metrics.filter((line) => !line.startsWith('#')).length,
    held: heldIn(metrics),
  };
}

async function metricsOf({ internal }: GatewayProcess): Promise<string[]> {
  const answer = await fetch(`${internal}/metrics`, { headers: { Connection: 'close' } });
  return (await answer.text()).split('\n').filter(Boolean);
}

function heldIn(metrics: readonly string[]): number {
  return metrics
    .filter((line) => /^gateway_(concurrent_requests|lb_instance_in_flight)\b/.test(line))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** What each descriptor leads to. */
function descriptorsOf(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).map((name) => {
    try {
      return readlinkSync(`${directory}/${name}`);
    } catch {
      // Closed meanwhile.
      return '';
    }
  });
}
