import { randomUUID } from 'node:crypto';
import type { Store, Unsubscribe } from '../store.ts';
import { resolvedOf } from './copies.ts';

/** How many ids of recent messages are remembered: the copies of a message arrive within milliseconds of each other. */
const MOST_REMEMBERED = 1_000;
const ENVELOPE = /^([\da-f-]{36}) (.*)$/s;

/** Publishes a message on all nodes, with an id: one of them is enough to deliver it, and it is delivered once. */
export async function publishOn(nodes: readonly Store[], channel: string, message: string): Promise<void> {
  const told = `${randomUUID()} ${message}`;
  await resolvedOf(
    nodes.map((node) => node.publish(channel, told)),
    1,
  );
}

/** Subscribes on all nodes. A message without an id is delivered as often as it arrives. */
export async function subscribeOn(
  nodes: readonly Store[],
  channel: string,
  listener: (message: string) => void,
): Promise<Unsubscribe> {
  const heard = new Set<string>();
  function hear(told: string): void {
    const [, id, message = told] = ENVELOPE.exec(told) ?? [];
    if (id !== undefined) {
      if (heard.has(id)) return;
      heard.add(id);
      const [oldest = id] = heard;
      if (heard.size > MOST_REMEMBERED) heard.delete(oldest);
    }
    listener(message);
  }
  const leave = await Promise.all(nodes.map((node) => node.subscribe(channel, hear)));
  return async () => {
    await Promise.all(leave.map((unsubscribe) => unsubscribe()));
  };
}
