import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** What happens to bytes on their way, either way. */
export type Passage =
  | 'pass'
  /** They are lost, as on a network that drops packets without a word. */
  | 'swallow'
  /** They arrive this much later, in milliseconds. */
  | { readonly lateMs: number };

/** A loopback address that leads to another one, over a network that the test spoils. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  passage: Passage;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(targetPort, '127.0.0.1');
    lead(near, far);
    lead(far, near);
  });

  function lead(from: Socket, to: Socket): void {
    sockets.add(from);
    from.on('error', () => {});
    from.on('data', (chunk) => {
      const { passage } = proxy;
      if (passage === 'pass') to.write(chunk);
      else if (passage !== 'swallow') setTimeout(() => to.write(chunk), passage.lateMs).unref();
    });
    from.once('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: TcpProxy = {
    port: (server.address() as AddressInfo).port,
    passage: 'pass',
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
