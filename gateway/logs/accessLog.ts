import type { Response } from 'express';
import type { Settings } from '../../config/config.ts';
import { ApiKeyError } from '../../lib/apikeys/errors.ts';
import { withoutKeys } from '../../lib/apikeys/keyText.ts';
import { TokenError } from '../../lib/auth/errors.ts';
import { type Exchange, exchangeOf } from '../../lib/exchange/exchange.ts';
import { shownPath } from '../../lib/http/path.ts';
import { isLogged, type Logger, SAID } from '../../lib/logging/logger.ts';
import { requestLines } from '../../lib/logging/requestLines.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import type { Completed, ObserveOptions } from '../../lib/metrics/middleware.ts';
import { peerAddress, type TrustsPeer } from '../../lib/proxy/request/forwarded.ts';
import { RateLimitError } from '../../lib/ratelimit/errors.ts';
import type { ErrorRepliesOptions } from '../errors/errorReplies.ts';
import { REPLIES } from '../errors/replies/replies.ts';
import type { OnRefused } from '../http/refusal.ts';
import type { ListeningPort } from '../port.ts';

/** 1 to 128 characters that are safe in a header field and in a log. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;

/** The bit of a trace's flags that says that it is recorded. */
const SAMPLED = 0x01;

/** Details that lines for people leave out, because the message has them. */
const SAID_OF_REQUEST = new Set(['method', 'service', 'status', 'seconds', 'replica']);
const SAID_OF_TOKEN = new Set([...SAID_OF_REQUEST, 'code']);
const SAID_OF_REFUSAL = new Set(['status']);

/** What codes of refused tokens and API keys begin with. */
const CREDENTIAL = /^(?:token|api_key)_/;

/** An API key that was put there by mistake is none: the id goes into traces and responses, and to services. */
function isRequestId(text: string): boolean {
  return REQUEST_ID.test(text) && withoutKeys(text) === text;
}

export interface LogOptions {
  readonly port: ListeningPort;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface AccessLogOptions extends LogOptions {
  readonly settings: Pick<Settings, 'accessLogSample' | 'accessLogSlowMs'>;
  readonly random: () => number;
  /** Whether the peer at an address is trusted to name requests. */
  readonly trustsPeer: TrustsPeer;
}

/** Counts each request of one port and writes its access line. */
export function accessLog({
  port,
  metrics,
  logger,
  settings: { accessLogSample, accessLogSlowMs },
  random,
  trustsPeer,
}: AccessLogOptions): Pick<ObserveOptions, 'onCompleted' | 'keepsRequestId'> {
  // Lines of the internal port are never sampled: they are the audit trail of who called whom.
  const share = port === 'internal' ? 1 : accessLogSample;
  const isSlow = (seconds: number) => seconds * 1000 >= accessLogSlowMs;
  const writeLine = requestLines(logger);
  const isWritten = (completed: Completed) =>
    share === 1 || isFailed(completed) || isSlow(completed.seconds) || random() < share;

  return {
    // A request id is taken from services and trusted proxies, never from users.
    keepsRequestId: (requestId, req) =>
      (port === 'internal' || trustsPeer(peerAddress(req))) && isRequestId(requestId),
    onCompleted: (completed) => {
      const { method, status, seconds, exchange } = completed;
      const { service } = exchange;
      const origin = status === 0 ? 'none' : exchange.origin;
      metrics.requestCompleted({
        service,
        route: exchange.route,
        method,
        status,
        port,
        origin,
        seconds,
        traceId: sampledTrace(exchange),
      });
      if (!isLogged(logger, 'info') || !isWritten(completed)) return;
      writeLine(accessLine(completed), accessDetails(completed, port));
    },
  };
}

/** Counts the gateway's own replies, and logs unexpected errors. */
export function errorLog({ port, metrics, logger }: LogOptions): ErrorRepliesOptions {
  return {
    hasCache: port === 'external',
    onReply: (code: string, res: Response) => metrics.errors.count(exchangeOf(res).service, code, port),
    onUnexpected: (error, res) => {
      const cause = Error.isError(error) ? error : new Error(String(error));
      logger.error('Unexpected error', { requestId: exchangeOf(res).requestId, error: cause });
    },
  };
}

/** Counts and logs what was refused before it became a request. */
export function refusalLog({ port, metrics, logger }: LogOptions): OnRefused {
  return (code, requestId) => {
    const { status } = REPLIES[code];
    metrics.requests.count('none', 'OTHER', String(status), port, 'gateway');
    metrics.errors.count('none', code, port);
    logger.info(`Not a request: ${status}`, { requestId, port, status, code, [SAID]: SAID_OF_REFUSAL });
  };
}

/** The trace id, if the trace is recorded. */
function sampledTrace({ trace }: Exchange): string | undefined {
  return trace && (trace.flags & SAMPLED) !== 0 ? trace.traceId : undefined;
}

/** Whether the request failed: by its status, or because the response was cut short. */
function isFailed({ status, exchange }: Completed): boolean {
  return status >= 500 || (status < 400 && exchange.failure !== undefined);
}

/** The message shows the path only: a query may contain secrets. */
function accessLine({ method, target, status, seconds, exchange }: Completed): string {
  const line = `${method} ${shownPath(target)} ${status || 'client gone'} in ${oneDecimal(seconds * 1000)} ms`;
  const { attempt, errorCode } = exchange;
  if (errorCode?.startsWith('token_')) return `${line} (JWT refused: ${errorCode})`;
  if (errorCode?.startsWith('api_key_')) return `${line} (API key refused: ${errorCode})`;
  return attempt ? `${line} (Load balancer selected ${attempt.target.url.origin})` : line;
}

/** The same as `toFixed(1)`, which takes ten times as long. */
function oneDecimal(value: number): string {
  const tenths = Math.round(value * 10);
  return `${Math.floor(tenths / 10)}.${tenths % 10}`;
}

/** The details of the same request for machines; undefined ones are left out. */
function accessDetails({ method, status, seconds, exchange }: Completed, port: ListeningPort) {
  const { phases } = exchange;
  return {
    requestId: exchange.requestId,
    traceId: exchange.trace?.traceId,
    port,
    service: exchange.service,
    route: exchange.route || undefined,
    method,
    status,
    seconds: Math.round(seconds * 10_000) / 10_000,
    permitMs: rounded(phases?.permit),
    authMs: rounded(phases?.auth),
    cacheMs: rounded(phases?.cache),
    upstreamMs: rounded(phases?.upstream),
    replica: exchange.attempt?.target.id,
    subject: exchange.identity?.subject,
    apiKey: exchange.identity?.apiKey?.id,
    apiKeyOwner: exchange.identity?.apiKey?.owner,
    cache: exchange.cacheVerdict,
    code: exchange.errorCode,
    rateLimit: exchange.failure instanceof RateLimitError ? exchange.failure.policy : undefined,
    // The message is for the log only: the client is told nothing but the code.
    tokenProblem: exchange.failure instanceof TokenError ? exchange.failure.message : undefined,
    apiKeyProblem: exchange.failure instanceof ApiKeyError ? exchange.failure.message : undefined,
    // For errors of clients the code says enough.
    cause: status >= 400 && status < 500 ? undefined : exchange.failure?.message,
    [SAID]: exchange.errorCode && CREDENTIAL.test(exchange.errorCode) ? SAID_OF_TOKEN : SAID_OF_REQUEST,
  };
}

/** Rounded to hundredths of a millisecond; undefined for a phase that never ran. */
function rounded(ms = Number.NaN): number | undefined {
  return Number.isNaN(ms) ? undefined : Math.round(ms * 100) / 100;
}
