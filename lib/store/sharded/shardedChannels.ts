import { randomUUID } from 'node:crypto';
import type { Store, Unsubscribe } from '../store.ts';
import { answersOf } from './copies.ts';

/** Ids of messages that came of late: the copies of one arrive within milliseconds of each other. */
const MOST_REMEMBERED = 1_000;
const ENVELOPE = /^([\da-f-]{36}) (.*)$/s;

/** Tells all nodes of each message, with an id, so that one of them is enough to hear it, and it is heard once. */
export async function publishOn(nodes: readonly Store[], channel: string, message: string): Promise<void> {
  const told = `${randomUUID()} ${message}`;
  await answersOf(
    nodes.map((node) => node.publish(channel, told)),
    1,
  );
}

/** Hears on all nodes. What was published without an id passes as it is, from each. */
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
