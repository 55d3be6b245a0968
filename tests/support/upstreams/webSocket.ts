import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';

/** A service that echoes every message of its WebSockets. */
export interface SocketService extends AsyncDisposable {
  readonly url: URL;
  /** The sockets that are open now. */
  readonly sockets: ReadonlySet<WebSocket>;
  /** The handshakes so far: target and fields. */
  readonly handshakes: readonly { readonly target: string; readonly headers: IncomingHttpHeaders }[];
}

export async function startSocketService(): Promise<SocketService> {
  const handshakes: SocketService['handshakes'][number][] = [];
  const server = createServer();
  const webSockets = new WebSocketServer({ server });
  webSockets.on('connection', (socket, { url = '', headers }) => {
    handshakes.push({ target: url, headers });
    socket.on('error', () => {});
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`),
    sockets: webSockets.clients,
    handshakes,
    async [Symbol.asyncDispose]() {
      for (const socket of webSockets.clients) socket.terminate();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
