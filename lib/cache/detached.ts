import { ServerResponse } from 'node:http';
import type { Request, Response } from 'express';
import { chunkOf, tapHead } from '../exchange/tap.ts';

/** Takes an answer piece by piece. */
export interface AnswerSink {
  head(status: number, reason: string, fields: readonly string[]): void;
  /** Whether more may follow at once; otherwise `drain` is emitted on the response when it may. */
  data(chunk: Buffer): boolean;
  /** The head is not to wait for content. */
  flush(): void;
  hints(hints: Readonly<Record<string, string | string[]>>): void;
  /** The answer was given whole. */
  end(trailers: readonly (readonly [string, string])[]): void;
  /** It broke off. */
  cut(): void;
}

/** A request and its response that belong to no connection. */
export interface Detached {
  readonly req: Request;
  readonly res: Response;
}

/** Fields that ask for less than the whole answer. */
const PARTIAL = /^(?:if-none-match|if-modified-since|if-range|range)$/i;

/**
 * `req` once more, without what asks for less than the whole answer and with `fields` instead, and a response that
 * hands everything written to it to `sink`. Neither notices when the client of `req` leaves.
 */
export function detach(req: Request, res: Response, fields: readonly string[], sink: AnswerSink): Detached {
  const detached = Object.create(req) as Request;
  detached.rawHeaders = [...withoutPartial(req.rawHeaders), ...fields];
  detached.headers = headersWith(req.headers, fields);
  detached.res = responseTo(detached, Object.getPrototypeOf(res), sink);
  return { req: detached, res: detached.res };
}

/** Node's own response checks what is written to it; only where it goes is changed. */
function responseTo(req: Request, prototype: object, sink: AnswerSink): Response {
  const res = Object.setPrototypeOf(new ServerResponse(req), prototype) as Response;
  const trailers: [string, string][] = [];
  let isOver = false;

  function begin(): void {
    if (!res.headersSent) res.writeHead(res.statusCode);
  }

  function put(args: readonly unknown[]): boolean {
    begin();
    const chunk = chunkOf(args);
    const accepted = chunk === undefined || chunk.length === 0 || sink.data(chunk);
    const written = args.at(-1);
    if (typeof written === 'function') process.nextTick(written as () => void);
    return accepted;
  }

  function close(isWhole: boolean): void {
    isOver = true;
    Object.assign(res, { finished: true, destroyed: true, _closed: true });
    process.nextTick(() => {
      if (isWhole) res.emit('finish');
      res.emit('close');
    });
  }

  Object.defineProperty(res, 'writableFinished', { get: () => isOver });
  tapHead(res, (status, lines) => sink.head(status, res.statusMessage, lines));
  return Object.assign(res, {
    locals: {},
    write: (...args: unknown[]) => !isOver && put(args),
    flushHeaders() {
      begin();
      sink.flush();
    },
    writeEarlyHints: (hints: Record<string, string | string[]>) => sink.hints(hints),
    addTrailers: (lines: [string, string][]) => void trailers.push(...lines),
    end(...args: unknown[]) {
      if (isOver) return res;
      const chunk = chunkOf(args);
      // As Node does for an answer that is said in one piece.
      if (!res.headersSent && chunk) res.setHeader('Content-Length', chunk.length);
      put(args);
      close(true);
      sink.end(trailers);
      return res;
    },
    destroy() {
      if (isOver) return res;
      close(false);
      sink.cut();
      return res;
    },
  } as object).setMaxListeners(0);
}

function withoutPartial(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (!PARTIAL.test(name)) kept.push(name, rawHeaders[i + 1] as string);
  }
  return kept;
}

function headersWith(headers: Request['headers'], fields: readonly string[]): Request['headers'] {
  const { 'if-none-match': _e, 'if-modified-since': _d, 'if-range': _i, range: _r, ...whole } = headers;
  for (let i = 0; i < fields.length; i += 2) whole[(fields[i] as string).toLowerCase()] = fields[i + 1];
  return whole;
}
