import { once } from 'node:events';
import { type AddressInfo, createServer as createRawServer, type Socket } from 'node:net';
import type { FieldLines } from '../../../lib/http/fields.ts';
import type { Controller, Handler, Request } from '../../../lib/http1/handler.ts';
import type { Pool, SendOptions } from '../../../lib/http1/pool.ts';

/** An answer as a handler was told of it. */
export interface ToldResponse {
  readonly status: number;
  readonly reason: string;
  readonly fields: FieldLines;
  readonly interim: readonly number[];
  /** Latin1. */
  readonly content: string;
  readonly trailers: FieldLines;
}

export interface SendWatch extends SendOptions {
  onStart?(controller: Controller): void;
  onHead?(controller: Controller, status: number): void;
  onData?(controller: Controller, chunk: Buffer): void;
  onPause?(controller: Controller): void;
  /** Whether content is kept. Default true. */
  readonly keepsContent?: boolean;
}

/** Sends one request; rejects with what `onResponseError` was given. Fails when anything is told twice or out of order. */
export function sendOver(
  pool: Pool,
  request: Partial<Request> = {},
  watch: SendWatch = {},
): Promise<ToldResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<ToldResponse>();
  const told = { status: 0, reason: '', fields: [] as FieldLines, interim: [] as number[], content: '' };
  let state: 'new' | 'started' | 'answered' | 'over' = 'new';
  const next = (from: readonly (typeof state)[], to: typeof state) => {
    if (!from.includes(state)) reject(new Error(`told of ${to} when it was ${state}`));
    state = to;
  };
  const handler: Handler = {
    onRequestStart(controller) {
      next(['new'], 'started');
      watch.onStart?.(controller);
    },
    onResponseStart(controller, status, fields, reason) {
      if (status < 200) told.interim.push(status);
      else {
        next(['started'], 'answered');
        Object.assign(told, { status, reason, fields });
      }
      watch.onHead?.(controller, status);
    },
    onResponseData(controller, chunk) {
      next(['answered'], 'answered');
      if (watch.keepsContent !== false) told.content += chunk.toString('latin1');
      watch.onData?.(controller, chunk);
    },
    onResponsePause(controller) {
      next(['started', 'answered'], state);
      watch.onPause?.(controller);
    },
    onResponseEnd({ rawTrailers }) {
      next(['answered'], 'over');
      resolve({ ...told, trailers: rawTrailers });
    },
    onResponseError(_controller, error) {
      next(['new', 'started', 'answered'], 'over');
      reject(error);
    },
  };
  pool.send({ method: 'GET', path: '/', ...request }, handler, watch);
  return promise;
}

/** An origin that remembers every byte of every connection. */
export interface RecordingOrigin extends AsyncDisposable {
  readonly url: URL;
  /** Latin1, one for each connection. */
  readonly received: readonly string[];
  /** Connections that are open now. */
  readonly open: number;
}

/** `onBytes` is called whenever something comes, with all that has come on that connection. */
export async function startRecordingOrigin(
  onBytes: (socket: Socket, received: string, connection: number) => void,
): Promise<RecordingOrigin> {
  const received: string[] = [];
  const sockets = new Set<Socket>();
  const server = createRawServer((socket) => {
    const connection = received.push('') - 1;
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
    socket.on('data', (chunk) => {
      received[connection] += chunk.toString('latin1');
      onBytes(socket, received[connection] as string, connection);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    received,
    get open() {
      return sockets.size;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
