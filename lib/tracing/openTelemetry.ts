import {
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import { BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace';
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_REQUEST_METHOD_ORIGINAL,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_NETWORK_PEER_ADDRESS,
  ATTR_NETWORK_PROTOCOL_VERSION,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_SERVICE_NAME,
  ATTR_SERVICE_VERSION,
  ATTR_URL_FULL,
  ATTR_URL_PATH,
  ATTR_URL_SCHEME,
  ATTR_USER_AGENT_ORIGINAL,
} from '@opentelemetry/semantic-conventions';
import type { Request, Response } from 'express';
import { withoutKeys } from '../apikeys/keyText.ts';
import type { Clock } from '../clock/clock.ts';
import type { Attempt } from '../exchange/attempt.ts';
import { type Exchange, exchangeOf } from '../exchange/exchange.ts';
import { shownPath } from '../http/path.ts';
import type { Spans } from './spans.ts';
import type { TraceContext } from './traceContext.ts';

/** Methods that may be used in span names and attributes. Others could be any text of a client. */
const METHODS: ReadonlySet<string> = new Set(
  'GET HEAD POST PUT PATCH DELETE OPTIONS TRACE CONNECT'.split(' '),
);

export interface OpenTelemetryOptions {
  /** The collector's URL; spans go to `/v1/traces` below it. */
  readonly endpoint: string;
  readonly serviceName: string;
  readonly version: string;
  readonly clock: Clock;
  /** The path of each route, by its name. */
  readonly pathOfRoute: ReadonlyMap<string, string>;
  /** Called when the collector has not accepted a batch, whose spans are lost. */
  readonly onError: (error: Error) => void;
}

/**
 * Records spans with OpenTelemetry's SDK and sends them to a collector by OTLP over HTTP. They are sent in the background from a
 * bounded queue: when the collector is slow or away, spans are lost, but no request suffers. `OTEL_EXPORTER_OTLP_HEADERS`,
 * `OTEL_RESOURCE_ATTRIBUTES` and `OTEL_SERVICE_NAME` are read by the SDK itself.
 *
 * Spans contain paths, but never queries, header fields, tokens or subjects.
 */
export function openTelemetry(options: Readonly<OpenTelemetryOptions>): Spans {
  return new OpenTelemetrySpans(options);
}

class OpenTelemetrySpans implements Spans {
  readonly #provider: TracerProvider;
  readonly #tracer: Tracer;
  readonly #pathOfRoute: ReadonlyMap<string, string>;
  readonly #clock: Clock;

  constructor({
    endpoint,
    serviceName,
    version,
    clock,
    pathOfRoute,
    onError,
  }: Readonly<OpenTelemetryOptions>) {
    const exporter = watched(new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }), onError);
    this.#provider = new TracerProvider({
      resource: defaultResource()
        .merge(resourceFromAttributes({ [ATTR_SERVICE_NAME]: serviceName, [ATTR_SERVICE_VERSION]: version }))
        .merge(detectResources({ detectors: [envDetector] })),
      spanProcessors: [new BatchSpanProcessor({ exporter })],
    });
    this.#tracer = this.#provider.getTracer('faf-cab-gateway', version);
    this.#pathOfRoute = pathOfRoute;
    this.#clock = clock;
  }

  begin(req: Request, res: Response, given: TraceContext | undefined): void {
    const exchange = exchangeOf(res);
    const parent = given ? contextOf(given) : ROOT_CONTEXT;
    const started = { kind: SpanKind.SERVER, attributes: requestAttributes(req) };
    const span = this.#tracer.startSpan(knownMethod(req.method), started, parent);
    exchange.trace = traceOf(span, given);
    res.once('close', () => endRequest(span, res, exchange, this.#pathOfRoute.get(exchange.route)));
  }

  attempt(attempt: Attempt, res: Response): void {
    const exchange = exchangeOf(res);
    if (!exchange.trace) return;
    const started = { kind: SpanKind.CLIENT, attributes: attemptAttributes(attempt, exchange, res) };
    const span = this.#tracer.startSpan(knownMethod(res.req.method), started, contextOf(exchange.trace));
    attempt.trace = traceOf(span, exchange.trace);
    attempt.watch({
      responded: (status) => tellStatus(span, status, status >= 400),
      ended: (outcome) => {
        if (outcome.kind === 'failed') tellError(span, errorType(outcome.error));
        span.end();
      },
    });
  }

  async close(deadlineMs: number): Promise<void> {
    const { promise: outOfTime, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(deadlineMs, resolve);
    // Failed batches were reported by the exporter.
    await Promise.race([this.#provider.shutdown().catch(() => {}), outOfTime]);
    cancel();
  }
}

/** Reports each lost batch, which the SDK does not. */
function watched(exporter: SpanExporter, onError: (error: Error) => void): SpanExporter {
  return {
    export: (spans, done) =>
      exporter.export(spans, (result) => {
        if (result.error) onError(result.error);
        done(result);
      }),
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  };
}

function contextOf({ traceId, parentId, flags, state }: TraceContext): Context {
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId: parentId,
    traceFlags: flags,
    isRemote: true,
    ...(state ? { traceState: createTraceState(withoutKeys(state)) } : {}),
  });
}

/** The trace context for a service that is called from `span`. */
function traceOf(span: Span, parent: TraceContext | undefined): TraceContext {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return { traceId, parentId: spanId, flags: traceFlags, state: parent?.state ?? '' };
}

function requestAttributes(req: Request) {
  const { method, headers, httpVersion, socket } = req;
  return {
    [ATTR_HTTP_REQUEST_METHOD]: knownMethod(method),
    [ATTR_HTTP_REQUEST_METHOD_ORIGINAL]: METHODS.has(method) ? undefined : method,
    [ATTR_URL_PATH]: shownPath(req.originalUrl),
    [ATTR_URL_SCHEME]: 'encrypted' in socket ? 'https' : 'http',
    [ATTR_SERVER_ADDRESS]: shownField(headers.host),
    [ATTR_NETWORK_PEER_ADDRESS]: socket.remoteAddress,
    [ATTR_NETWORK_PROTOCOL_VERSION]: httpVersion,
    [ATTR_USER_AGENT_ORIGINAL]: shownField(headers['user-agent']),
  };
}

function attemptAttributes({ target }: Attempt, { upstreamTarget }: Exchange, { req }: Response) {
  const { url, id } = target;
  return {
    [ATTR_HTTP_REQUEST_METHOD]: knownMethod(req.method),
    [ATTR_SERVER_ADDRESS]: url.hostname,
    [ATTR_SERVER_PORT]: Number(url.port || (url.protocol === 'https:' ? 443 : 80)),
    [ATTR_URL_FULL]: url.origin + shownPath(upstreamTarget || req.url),
    'gateway.replica': id,
  };
}

/** An API key that was put into a field by mistake is shown by its id alone. */
function shownField(value: string | undefined): string | undefined {
  return value && withoutKeys(value);
}

function knownMethod(method: string): string {
  return METHODS.has(method) ? method : '_OTHER';
}

/** `routePath`: the path of the route that it matched, such as `/orders/:id`. */
function endRequest(span: Span, res: Response, exchange: Exchange, routePath: string | undefined): void {
  const { service, route, requestId, cacheVerdict, errorCode, failure } = exchange;
  const path = routePath ?? (service === 'none' ? undefined : service);
  if (path !== undefined) {
    span.updateName(`${knownMethod(res.req.method)} ${path}`);
    span.setAttribute(ATTR_HTTP_ROUTE, path);
  }
  if (route !== '') span.setAttribute('gateway.route', route);
  span.setAttribute('gateway.request_id', requestId);
  if (cacheVerdict) span.setAttribute('gateway.cache', cacheVerdict);
  // A client that left before the response has no status.
  if (res.headersSent || exchange.upgraded) tellStatus(span, res.statusCode, res.statusCode >= 500);
  // The head was sent, but the response is not complete.
  const wasCut = failure !== undefined && res.statusCode < 400;
  if (errorCode && (wasCut || res.statusCode >= 500)) tellError(span, errorCode);
  span.end();
}

function tellStatus(span: Span, status: number, isError: boolean): void {
  span.setAttribute(ATTR_HTTP_RESPONSE_STATUS_CODE, status);
  if (isError) tellError(span, String(status));
}

function tellError(span: Span, type: string): void {
  span.setAttribute(ATTR_ERROR_TYPE, type);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function errorType(error: Error): string {
  return 'code' in error ? String(error.code) : error.name;
}
