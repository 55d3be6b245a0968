import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A network between a gateway and its Redis that a test makes worse. */
export interface RedisRelay extends AsyncDisposable {
  readonly url: string;
  /** From now on every byte, either way, is lost; connections stay open, new ones too. */
  drop(): void;
  /** From now on every byte takes so much longer, either way. */
  delay(ms: number): void;
  /** What comes from now on arrives at once; what was lost stays lost. */
  heal(): void;
}

/** Listens on a free port and passes everything on to the Redis at `port`. */
export async function startRedisRelay(port: number): Promise<RedisRelay> {
  let dropping = false;
  let delayMs = 0;
  const sockets = new Set<Socket>();

  function pass(from: Socket, to: Socket): void {
    sockets.add(from);
    from.on('error', () => {});
    from.once('close', () => {
      sockets.delete(from);
      to.destroy();
    });
    from.on('data', (bytes) => {
      if (dropping) return;
      if (delayMs === 0) to.write(bytes);
      else setTimeout(() => to.write(bytes), delayMs).unref();
    });
  }

  const server = createServer((client) => {
    const redis = connect(port, '127.0.0.1');
    pass(client, redis);
    pass(redis, client);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `redis://127.0.0.1:${(server.address() as AddressInfo).port}`,
    drop: () => {
      dropping = true;
    },
    delay: (ms) => {
      delayMs = ms;
    },
    heal: () => {
      dropping = false;
      delayMs = 0;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
