import { externalApp } from '../../../gateway/apps.ts';
import { GatewayServer } from '../../../gateway/http/server.ts';
import type { TestGateway } from '../../support/gateway/gateway.ts';

export interface ComposedAgain extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` of its external port. */
  readonly external: string;
}

/**
 * The chains of a gateway's users, composed once more of the same parts, as a reload composes them, on a port of their own.
 * What a rule keeps must be in the parts, and not in its stages, or these stages would begin anew.
 */
export async function composedAgain({ gateway: { parts } }: TestGateway): Promise<ComposedAgain> {
  const { settings, clock, limits, trustsPeer } = parts;
  const server = new GatewayServer(externalApp(parts), {
    headersTimeoutMs: settings.headersTimeoutMs,
    maxHeadBytes: settings.maxRequestHeadBytes,
    keepAliveTimeoutMs: settings.keepAliveTimeoutMs,
    connectionMaxAgeMs: settings.connectionMaxAgeMs,
    sendTimeoutMs: settings.sendTimeoutMs,
    maxConnections: settings.maxConnections,
    connections: limits.connections.external,
    clock,
    trustsPeer,
  });
  const port = await server.listen(0, '127.0.0.1');
  return {
    external: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      const over = AbortSignal.abort();
      await server.drain({ graceOver: over, outOfTime: over });
    },
  };
}
