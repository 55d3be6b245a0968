import { describe, expect, it } from '@jest/globals';
import { fieldValue } from '../../../lib/http/fields.ts';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  NEVER_LOGGED,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { hangs, startRawUpstream, startUpstream, type Upstream } from '../../support/upstreams/upstream.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const CALLER = '00f067aa0ba902b7';
const SERVER = 2;
const CLIENT = 3;
const ERROR = 2;
const headers = bearer(tokenFor('ann'));

/** A span as OTLP has it in JSON. */
interface OtlpSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly status: { readonly code?: number };
  readonly attributes: readonly OtlpAttribute[];
}
interface OtlpAttribute {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: number | string };
}

const attributesOf = ({ attributes }: { readonly attributes: readonly OtlpAttribute[] }) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? Number(value.intValue)]));

const resourcesIn = (collector: Upstream) =>
  collector.requests.flatMap(({ body }) => JSON.parse(String(body)).resourceSpans);

const spansIn = (collector: Upstream): OtlpSpan[] =>
  resourcesIn(collector).flatMap(({ scopeSpans }) =>
    scopeSpans.flatMap((scope: { spans: OtlpSpan[] }) => scope.spans),
  );

/** What a collector gets when a gateway in front of `services` was stopped after `use`. */
async function recorded(
  services: Parameters<typeof startGateway>[0]['services'],
  use: (gateway: TestGateway) => Promise<unknown>,
) {
  await using collector = await startUpstream((_req, res) => void res.end('{}'));
  const gateway = await startGateway({
    services,
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin, GET_CACHE_TTL: 'off' },
  });
  await use(gateway);
  await gateway.stop();
  return { spans: spansIn(collector), resources: resourcesIn(collector), requests: collector.requests };
}

describe('with OTEL_EXPORTER_OTLP_ENDPOINT', () => {
  it('a collector gets a span of the request and, under it, one of the call to the service', async () => {
    await using upstream = await startUpstream();
    const { spans, resources, requests } = await recorded({ '/budgeting': [upstream] }, (gateway) =>
      fetch(`${gateway.internal}/internal/budgeting/api/x?secret=${NEVER_LOGGED}`, {
        headers: {
          traceparent: `00-${TRACE}-${CALLER}-01`,
          tracestate: 'rojo=1',
          Authorization: NEVER_LOGGED,
        },
      }),
    );
    expect(requests.map(({ method, target }) => `${method} ${target}`)).toEqual(['POST /v1/traces']);
    expect(attributesOf(resources[0].resource)).toMatchObject({ 'service.name': 'faf-cab-gateway' });
    const server = spans.find(({ kind }) => kind === SERVER);
    const client = spans.find(({ kind }) => kind === CLIENT);
    expect(spans).toHaveLength(2);
    expect(server).toMatchObject({ traceId: TRACE, parentSpanId: CALLER, name: 'GET /budgeting' });
    expect(server && attributesOf(server)).toMatchObject({
      'http.request.method': 'GET',
      'http.route': '/budgeting',
      'http.response.status_code': 200,
      'url.path': '/internal/budgeting/api/x',
      'url.scheme': 'http',
      'gateway.request_id': expect.any(String),
    });
    expect(client).toMatchObject({ traceId: TRACE, parentSpanId: server?.spanId, name: 'GET' });
    expect(client && attributesOf(client)).toMatchObject({
      'http.response.status_code': 200,
      'server.address': '127.0.0.1',
      'server.port': Number(upstream.url.port),
      'url.full': `${upstream.url.origin}/api/x`,
    });
    // The service's own spans hang under the call.
    const { fields } = upstream.requests[0] ?? { fields: [] };
    expect(fieldValue(fields, 'traceparent')).toBe(`00-${TRACE}-${client?.spanId}-01`);
    expect(fieldValue(fields, 'tracestate')).toBe('rojo=1');
    expect(requests.map(({ body }) => String(body)).join()).not.toContain(NEVER_LOGGED);
  });

  it('each try at a replica has a span of its own, and who failed says so', async () => {
    await using upstream = await startUpstream();
    const { spans } = await recorded(
      { '/budgeting': ['http://127.0.0.1:1', upstream], '/absent': ['http://127.0.0.1:1'] },
      async (gateway) => {
        // Whichever is tried first: within two the absent one is.
        for (const n of [1, 2]) await fetch(`${gateway.external}/budgeting/${n}`, { headers });
        await fetch(`${gateway.external}/absent/x`, { headers });
        await fetch(`${gateway.external}/budgeting/x`);
      },
    );
    const servers = spans.filter(({ kind }) => kind === SERVER);
    expect(servers.map((span) => attributesOf(span)['http.response.status_code'])).toEqual([
      200, 200, 502, 401,
    ]);
    expect(servers.map(({ status }) => status.code === ERROR)).toEqual([false, false, true, false]);
    expect(servers[2] && attributesOf(servers[2])['error.type']).toBe('upstream_unreachable');
    for (const { parentSpanId } of servers) expect(parentSpanId).toBeFalsy();
    const tries = servers.map(({ spanId }) => spans.filter(({ parentSpanId }) => parentSpanId === spanId));
    expect(Math.max(...tries.map(({ length }) => length))).toBe(2);
    const [failed] = tries.find(({ length }) => length === 2) ?? [];
    expect(failed).toMatchObject({ status: { code: ERROR } });
    expect(tries[3]).toEqual([]);
  });

  it('a span says which route its request matched', async () => {
    await using upstream = await startUpstream();
    const routes = [{ match: { methods: ['GET'], path: '/orders/:id' }, auth: 'none' as const }];
    const { spans } = await recorded({ '/shop': { upstreams: [upstream], routes } }, async (gateway) => {
      await fetch(`${gateway.external}/shop/orders/5`);
      await fetch(`${gateway.external}/shop/else`);
    });
    const servers = spans.filter(({ kind }) => kind === SERVER);
    expect(servers.map(({ name }) => name)).toEqual(['GET /shop/orders/:id', 'GET /shop/**']);
    expect(servers[0] && attributesOf(servers[0])).toMatchObject({
      'http.route': '/shop/orders/:id',
      'gateway.route': 'GET /shop/orders/:id',
    });
  });

  it('a collector that refuses spans is logged and counted', async () => {
    await using upstream = await startUpstream();
    await using collector = await startUpstream((_req, res) => void res.writeHead(400).end());
    const gateway = await startGateway({
      services: { '/budgeting': [upstream] },
      env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin },
    });
    await fetch(`${gateway.internal}/internal/budgeting/x`);
    await gateway.stop();
    const line = await eventually('the line', () =>
      gateway.logLines().find(({ message }) => String(message).includes('does not take spans')),
    );
    expect(line).toMatchObject({ level: 'warn', error: { message: expect.any(String) } });
    expect(await gateway.metric('gateway_span_export_errors_total')).toBe(1);
  });

  it.each([
    { trouble: 'is away', start: async () => undefined },
    { trouble: 'never answers', start: () => startRawUpstream(hangs) },
  ])(
    'requests do not notice that the collector $trouble, and the gateway stops all the same',
    async ({ start }) => {
      await using upstream = await startUpstream();
      await using collector = await start();
      const gateway = await startGateway({
        services: { '/budgeting': [upstream] },
        env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector?.url.origin ?? 'http://127.0.0.1:1' },
      });
      for (const n of [1, 2, 3]) {
        expect((await fetch(`${gateway.internal}/internal/budgeting/${n}`)).status).toBe(200);
      }
      await gateway.stop();
      await eventually('the line', () => gateway.logLines().some(({ message }) => message === 'Drained'));
    },
  );
});

it('without it nothing of the SDK is loaded', async () => {
  const watch = `
    import { registerHooks } from 'node:module';
    registerHooks({ load(url, context, next) {
      if (/@opentelemetry|openTelemetry\\.ts/.test(url) && !url.includes('@opentelemetry/api/')) process.stderr.write('LOADED ' + url + '\\n');
      return next(url, context);
    } });`;
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(watch)}`;
  await using upstream = await startUpstream();
  for (const [env, isLoaded] of [
    [{}, false],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }, true],
  ] as const) {
    await using run = runGateway({ services: { '/x': [upstream] }, env: { NODE_OPTIONS, ...env } });
    const { internal } = await run.listening();
    await fetch(`${internal}/internal/x/y`);
    await eventually('the line', () => run.stdout().includes('/internal/x/y'));
    expect(run.stderr().includes('LOADED')).toBe(isLoaded);
  }
}, 60_000);
