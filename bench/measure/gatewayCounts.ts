import { setTimeout as sleep } from 'node:timers/promises';
import type { Contender, Expectation } from './subjects.ts';
import { WrongResponseError } from './verify.ts';

/** What a gateway's own metrics say it has done. */
export interface GatewayCounts {
  readonly byStatus: ReadonlyMap<string, number>;
  readonly cacheHits: number;
}

/** A gateway renders its metrics once in this time at the most: what it shows to whoever waits so long is new. */
const RENDERED_EVERY_MS = 1_000;

/** Reads the `/metrics` of a gateway, as they are now. */
export async function gatewayCounts(address: string): Promise<GatewayCounts> {
  await sleep(RENDERED_EVERY_MS);
  const response = await fetch(`http://${address}/metrics`);
  return countsIn(await response.text());
}

export function countsIn(exposition: string): GatewayCounts {
  const byStatus = new Map<string, number>();
  let cacheHits = 0;
  for (const line of exposition.split('\n')) {
    const value = Number(line.slice(line.lastIndexOf(' ') + 1));
    const status = /^gateway_requests_total\{.*status="(\d+)"/.exec(line)?.[1];
    if (status) byStatus.set(status, (byStatus.get(status) ?? 0) + value);
    if (line.startsWith('gateway_cache_hits_total{')) cacheHits += value;
  }
  return { byStatus, cacheHits };
}

/** Throws `WrongResponseError` unless the gateway's own counts between two readings are those of a clean run. */
export function assertCounts(
  { name, cache }: Contender,
  { status }: Expectation,
  { before, after, requests }: { before: GatewayCounts; after: GatewayCounts; requests: number },
): void {
  for (const [counted, total] of after.byStatus) {
    const count = total - (before.byStatus.get(counted) ?? 0);
    // 0: what was under way when the load generator hung up.
    if (count > 0 && counted !== String(status) && counted !== '0') {
      throw new WrongResponseError(`${name}: ${count} answers with ${counted} instead of ${status}`);
    }
  }
  const hits = after.cacheHits - before.cacheHits;
  // An entry lives for GET_CACHE_TTL, so a few of very many requests renew it.
  if (cache === 'HIT' && hits < 0.99 * requests)
    throw new WrongResponseError(`${name}: ${hits} hits of ${requests}`);
  if (cache === 'MISS' && hits > 0)
    throw new WrongResponseError(`${name}: ${hits} hits where there should be none`);
}
