import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { tokenFor } from '../support/gateway/gateway.ts';
import { startGatewayProcess } from '../support/gateway/gatewayProcess.ts';
import { startRedis } from '../support/stores/redis.ts';
import { type Attack, attacks } from './attacks.ts';
import { Victim } from './victim.ts';

const ORIGIN_MODULE = new URL('./origin.ts', import.meta.url);
const ATTACKER_MODULE = new URL('./attacker.ts', import.meta.url);

export type Mode = 'attack' | 'harmless';

/** What one run of a victim beside an attacker, or beside a harmless user, showed. */
export interface Trial {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly failures: readonly string[];
  readonly hitRatio: number;
  /** The most resident memory that the gateway had meanwhile. */
  readonly peakRssBytes: number;
}

/** A gateway of its own for each run: nothing that one attack leaves behind is counted for the next. */
export async function runTrial(name: string, mode: Mode, forMs: number): Promise<Trial> {
  const attack = attacks[name] as Attack;
  await using stack = new AsyncDisposableStack();
  const origins = await Promise.all(Array.from({ length: attack.replicas ?? 1 }, () => startOrigin(stack)));
  const env = { ...SETTINGS, ...attack.env, ...(await storeOf(attack, stack)) };
  const gateway = stack.use(
    await startGatewayProcess({ services: { '/shop': { upstreams: origins } }, env }),
  );
  const victim = new Victim(gateway.external);
  await victim.warmUp();
  gateway.resetPeakRss();
  const stopAttacker = await startAttacker(name, mode, gateway.external);
  const { latenciesMs, ...suffered } = await victim.run(forMs);
  await stopAttacker();
  return { ...suffered, ...quantiles(latenciesMs), peakRssBytes: gateway.peakRssBytes() };
}

/** Where the attacked service logs users in and out. */
export const AUTH_PATHS = { AUTH_ISSUE_PATHS: '/shop/auth/login', AUTH_REVOKE_PATHS: '/shop/auth/logout' };

const SETTINGS = { REQUEST_TIMEOUT: '3s', ...AUTH_PATHS };

/** Begins with one token of its own; resolves to what ends it. */
export async function startAttacker(
  name: string,
  mode: Mode,
  external: string,
): Promise<() => Promise<void>> {
  const child = fork(ATTACKER_MODULE, [name, mode, external, tokenFor('attacker')]);
  await once(child, 'message');
  return async () => {
    child.disconnect();
    await once(child, 'exit');
  };
}

async function storeOf({ store }: Attack, stack: AsyncDisposableStack): Promise<Record<string, string>> {
  if (!store) return {};
  const redis = await startRedis();
  stack.defer(() => redis.stop());
  return { REDIS_URL: redis.url };
}

/** One replica of `/shop`, ended with the stack. */
export async function startOrigin(stack: AsyncDisposableStack): Promise<string> {
  const child: ChildProcess = fork(ORIGIN_MODULE);
  stack.defer(async () => {
    child.disconnect();
    await once(child, 'exit');
  });
  const [port] = await once(child, 'message');
  return `http://127.0.0.1:${port}`;
}

function quantiles(latenciesMs: readonly number[]): Pick<Trial, 'p50Ms' | 'p99Ms'> {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(sorted.length * part)] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}
