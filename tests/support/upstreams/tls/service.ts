import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { createServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';

/** What a service saw of a request and the connection that it came over. */
export interface SeenRequest {
  readonly target: string;
  readonly host: string | undefined;
  /** The name that the client asked for (SNI); false: none. */
  readonly serverName: string | false | null;
  /** The CN of the client's certificate. */
  readonly client: string | undefined;
  readonly version: string | null;
  readonly remotePort: number | undefined;
  readonly isResumed: boolean;
}

export interface TlsService extends AsyncDisposable {
  readonly url: URL;
  readonly requests: SeenRequest[];
  /** How many TLS connections there were. */
  readonly connections: number;
  setSecureContext(options: ServerOptions): void;
}

/** A real service over TLS, which also echoes on WebSockets. */
export async function startTlsService(
  options: ServerOptions,
  answer: RequestListener = (_req, res) => void res.end('ok'),
): Promise<TlsService> {
  const requests: SeenRequest[] = [];
  let connections = 0;
  const server = createServer(options, (req, res) => {
    requests.push(seen(req.socket as TLSSocket, req.url ?? '', req.headers.host));
    answer(req, res);
  });
  server.on('secureConnection', () => {
    connections += 1;
  });
  const webSockets = new WebSocketServer({ server });
  webSockets.on('connection', (socket, req) => {
    requests.push(seen(req.socket as TLSSocket, req.url ?? '', req.headers.host));
    socket.on('message', (message) => socket.send(String(message)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`https://127.0.0.1:${port}`),
    requests,
    get connections() {
      return connections;
    },
    setSecureContext: (fresh) => server.setSecureContext(fresh),
    async [Symbol.asyncDispose]() {
      for (const client of webSockets.clients) client.terminate();
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

function seen(socket: TLSSocket, target: string, host: string | undefined): SeenRequest {
  const { CN } = socket.getPeerCertificate()?.subject ?? {};
  return {
    target,
    host,
    serverName: socket.servername,
    client: CN === undefined ? undefined : String(CN),
    version: socket.getProtocol(),
    remotePort: socket.remotePort,
    isResumed: socket.isSessionReused(),
  };
}
