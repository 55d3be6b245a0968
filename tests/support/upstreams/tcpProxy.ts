import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** What happens to bytes on their way, either way. */
export type Passage =
  | 'pass'
  /** They are lost, as on a network that drops packets without a word: TCP brings nothing that comes behind them, either. */
  | 'swallow'
  /** What comes back arrives this much later, in milliseconds. */
  | { readonly lateMs: number };

/** A loopback address that leads to another one, over a network that the test spoils. */
export interface TcpProxy extends AsyncDisposable {
  readonly port: number;
  passage: Passage;
  /** Where new connections lead; those that are open lead where they did. */
  targetPort: number;
}

export async function startTcpProxy(targetPort: number): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(proxy.targetPort, '127.0.0.1');
    const way: Way = { isLost: false };
    lead(near, far, way, false);
    lead(far, near, way, true);
  });

  function lead(from: Socket, to: Socket, way: Way, isResponse: boolean): void {
    /** The last of what is late still: nothing overtakes it. */
    let late: Promise<void> | undefined;
    async function deliver(chunk: Buffer | string, dueAtMs: number, before: Promise<void> | undefined) {
      await before;
      await sleep(Math.max(0, dueAtMs - performance.now()), undefined, { ref: false });
      to.write(chunk);
    }
    sockets.add(from);
    from.on('error', () => {});
    from.on('data', (chunk) => {
      const { passage } = proxy;
      if (passage === 'swallow' || way.isLost) {
        way.isLost = true;
        return;
      }
      const lateMs = isResponse && passage !== 'pass' ? passage.lateMs : 0;
      if (lateMs > 0 || late) late = deliver(chunk, performance.now() + lateMs, late);
      else to.write(chunk);
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
    targetPort,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}

/** One connection. */
interface Way {
  /** Whether bytes of it were lost. */
  isLost: boolean;
}
