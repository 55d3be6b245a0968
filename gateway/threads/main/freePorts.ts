import { once } from 'node:events';
import { createServer } from 'node:net';
import { ListenError } from '../../http/listenError.ts';

/** Rejects with `ListenError` when another process uses the port. Port 0 is always free. */
export async function assertFree(setting: string, port: number, host: string): Promise<void> {
  if (port === 0) return;
  const server = createServer();
  try {
    server.listen({ port, host: host === '::' ? undefined : host });
    await once(server, 'listening');
    server.close();
    await once(server, 'close');
  } catch (error) {
    throw new ListenError(setting, port, host, error as Error);
  }
}
