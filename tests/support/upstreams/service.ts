import { once } from 'node:events';
import type { ServiceName } from '../../../playground/catalogue.ts';
import { listenOnLoopback } from '../../../playground/replica/lifecycle.ts';
import { serverFor } from '../../../playground/replica/service.ts';
import { TEST_SECRET } from '../gateway/gateway.ts';

export interface TestService extends AsyncDisposable {
  readonly url: URL;
}

/** One of the playground's services in this process. Its tokens are good for a gateway of the tests. */
export async function startService(service: ServiceName): Promise<TestService> {
  const stopping = new AbortController();
  const replica = { service, id: `${service}.1` };
  const server = await serverFor(replica, { JWT_SECRET: TEST_SECRET }, stopping.signal);
  const port = await listenOnLoopback(server, 0);
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    async [Symbol.asyncDispose]() {
      stopping.abort();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
