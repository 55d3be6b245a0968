import type { ServerResponse } from 'node:http';
import { RawClient, request } from '../../support/clients/rawClient.ts';
import { eventually } from '../../support/eventually.ts';
import { startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

/** A service whose every response is an event stream that the test goes on with. */
export interface EventService extends Upstream {
  /** The streams that are open now. */
  readonly streams: ReadonlySet<ServerResponse>;
  /** Sends an event to all of them. */
  say(event: string): void;
  /** Ends all of them. */
  end(): void;
}

export async function startEvents(): Promise<EventService> {
  const streams = new Set<ServerResponse>();
  const upstream = await startUpstream((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'text/event-stream' }).flushHeaders();
    streams.add(res);
    res.once('close', () => streams.delete(res));
  });
  return Object.assign(upstream, {
    streams,
    say(event: string) {
      for (const stream of streams) stream.write(`data: ${event}\n\n`);
    },
    end() {
      for (const stream of streams) stream.end();
    },
  });
}

/** A client that has the head of an event stream; its `received` grows with the events. */
export async function listenTo(
  origin: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawClient> {
  const client = await RawClient.to(origin);
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  client.send(request(`GET ${path}`, 'Accept: text/event-stream', ...fields));
  await client.head();
  return client;
}

export async function hears(client: RawClient, event: string): Promise<void> {
  await eventually(`the event ${event}`, () => client.received.includes(`data: ${event}\n\n`));
}
