import type { Response } from 'express';
import type { Settings } from '../../config/config.ts';
import { TokenError } from '../../lib/auth/errors.ts';
import { type Exchange, exchangeOf } from '../../lib/exchange/exchange.ts';
import { shownPath } from '../../lib/http/path.ts';
import { isLogged, type Logger, SAID } from '../../lib/logging/logger.ts';
import { requestLines } from '../../lib/logging/requestLines.ts';
import type { Metrics } from '../../lib/metrics/metrics.ts';
import type { Completed, ObserveOptions } from '../../lib/metrics/middleware.ts';
import { peerAddress, type TrustsPeer } from '../../lib/proxy/request/forwarded.ts';
import { type ErrorRepliesOptions, REPLIES } from '../errors.ts';
import type { OnRefused } from '../http/refusal.ts';
import type { Port } from '../port.ts';

/** 1 to 128 characters that are safe in a field and in a log. */
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;

/** Bit of a trace's flags. */
const SAMPLED = 0x01;

/** What the lines for people need not repeat: it is in the message. */
const SAID_OF_REQUEST = new Set(['method', 'service', 'status', 'seconds', 'replica']);
const SAID_OF_TOKEN = new Set([...SAID_OF_REQUEST, 'code']);
const SAID_OF_REFUSAL = new Set(['status']);

export interface LogOptions {
  readonly port: Port;
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface AccessLogOptions extends LogOptions {
  readonly settings: Pick<Settings, 'accessLogSample' | 'accessLogSlowMs'>;
  readonly random: () => number;
  /** Whether the peer's own word about a request is believed. */
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
  // The internal port's lines are the audit trail of who called whom.
  const share = port === 'internal' ? 1 : accessLogSample;
  const isSlow = (seconds: number) => seconds * 1000 >= accessLogSlowMs;
  const writeLine = requestLines(logger);
  const isWritten = (completed: Completed) =>
    share === 1 || isFailed(completed) || isSlow(completed.seconds) || random() < share;

  return {
    // Users do not name requests; services that call others and trusted proxies pass the name on.
    keepsRequestId: (requestId, req) =>
      (port === 'internal' || trustsPeer(peerAddress(req))) && REQUEST_ID.test(requestId),
    onCompleted: (completed) => {
      const { method, status, seconds, exchange } = completed;
      const { service } = exchange;
      const origin = status === 0 ? 'none' : exchange.origin;
      metrics.requestCompleted({
        service,
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

/** Counts the replies the gateway makes itself, and logs an error that nobody foresaw. */
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

/** Of a trace that is recorded, if any is: its flags say so. */
function sampledTrace({ trace }: Exchange): string | undefined {
  return trace && (trace.flags & SAMPLED) !== 0 ? trace.traceId : undefined;
}

/** The answer says so, or was cut before its end. */
function isFailed({ status, exchange }: Completed): boolean {
  return status >= 500 || (status < 400 && exchange.failure !== undefined);
}

/** The path alone: a query may hold what must not be in a log. */
function accessLine({ method, target, status, seconds, exchange }: Completed): string {
  const line = `${method} ${shownPath(target)} ${status || 'client gone'} in ${oneDecimal(seconds * 1000)} ms`;
  const { attempt, errorCode } = exchange;
  if (errorCode?.startsWith('token_')) return `${line} (JWT refused: ${errorCode})`;
  return attempt ? `${line} (Load balancer selected ${attempt.target.url.origin})` : line;
}

/** As `toFixed(1)`, which takes ten times as long. */
function oneDecimal(value: number): string {
  const tenths = Math.round(value * 10);
  return `${Math.floor(tenths / 10)}.${tenths % 10}`;
}

/** What a machine reads of the same request; `undefined` leaves a detail out. */
function accessDetails({ method, status, seconds, exchange }: Completed, port: Port) {
  const { phases } = exchange;
  return {
    requestId: exchange.requestId,
    traceId: exchange.trace?.traceId,
    port,
    service: exchange.service,
    method,
    status,
    seconds: Math.round(seconds * 10_000) / 10_000,
    permitMs: rounded(phases?.permit),
    authMs: rounded(phases?.auth),
    cacheMs: rounded(phases?.cache),
    upstreamMs: rounded(phases?.upstream),
    replica: exchange.attempt?.target.id,
    subject: exchange.identity?.subject,
    cache: exchange.cacheVerdict,
    code: exchange.errorCode,
    // The client learns the code alone.
    tokenProblem: exchange.failure instanceof TokenError ? exchange.failure.message : undefined,
    // Of what clients do wrong the code says enough.
    cause: status >= 400 && status < 500 ? undefined : exchange.failure?.message,
    [SAID]: exchange.errorCode?.startsWith('token_') ? SAID_OF_TOKEN : SAID_OF_REQUEST,
  };
}

/** Hundredths of a millisecond are enough; what did not happen is left out. */
function rounded(ms = Number.NaN): number | undefined {
  return Number.isNaN(ms) ? undefined : Math.round(ms * 100) / 100;
}
