import { setInterval as every } from 'node:timers/promises';
import { HEALTHY_MESSAGE } from '../services/common.ts';
import type { RegisteredReplica, Replicas } from './replicas.ts';

const CHECK_EVERY_MS = 5000;
const CHECK_TIMEOUT_MS = 2000;

/** Asks every registered replica how it is, all at once, every `everyMs`, until `stopping` is aborted. */
export async function keepChecking(
  replicas: Replicas,
  stopping: AbortSignal,
  everyMs = CHECK_EVERY_MS,
): Promise<void> {
  try {
    for await (const _ of every(everyMs, undefined, { signal: stopping })) {
      await Promise.all(replicas.registered().map((replica) => check(replicas, replica)));
    }
  } catch (error) {
    if (!stopping.aborted) throw error;
  }
}

/** Asks one replica how it is, and notes the answer. */
export async function check(
  replicas: Replicas,
  { id, host, port, url = `http://${host}:${port}`, health_check }: RegisteredReplica,
): Promise<void> {
  const address = `${url}/${health_check.replace(/^\//, '')}`;
  const healthy = await fetch(address, { signal: AbortSignal.timeout(CHECK_TIMEOUT_MS) })
    .then(async (answer) => answer.ok && isHealthy(await answer.json()))
    .catch(() => false);
  replicas.setStatus(id, healthy ? 'healthy' : 'unhealthy');
}

/** What the stack's services say when they are well. */
function isHealthy(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'message' in body && body.message === HEALTHY_MESSAGE;
}
