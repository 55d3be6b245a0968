import type { ServerResponse } from 'node:http';
import type { Request, Response } from 'express';
import type { FieldLines } from '../../http/fields.ts';
import { http } from '../../http/nodeHttp.ts';
import { chunkOf, headFields, isFlat } from '../../http/tap.ts';
import { isFieldValue } from '../../http1/grammar.ts';
import { LineCheck } from '../../http1/lineCheck.ts';

/** Takes an answer piece by piece. */
export interface AnswerSink {
  head(status: number, reason: string, fields: readonly string[]): void;
  /**
   * Whether more may follow at once; otherwise `drain` is emitted on the response when it may. After the last there is
   * only the end.
   */
  data(chunk: Buffer, isLast: boolean): boolean;
  /** The head is not to wait for content. */
  flush(): void;
  /** An interim response, its fields as name, value, name, value. */
  interim(status: number, fields: FieldLines): void;
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

const NO_TRAILERS: readonly (readonly [string, string])[] = [];

/** Fields that ask for less than the whole answer. */
const PARTIAL: readonly string[] = ['if-none-match', 'if-modified-since', 'if-range', 'range'];

/** Makes requests and responses that belong to no connection. */
export class Detacher {
  /** By the prototype that Express has given the client's response. */
  readonly #kinds = new WeakMap<object, Kind>();
  readonly #check = new LineCheck();

  /**
   * `req`, or a copy of it without what asks for less than the whole answer and with `fields` instead, and a response
   * that hands everything written to it to `sink`, and does not notice when the client of `req` leaves.
   */
  detach(req: Request, res: Response, fields: readonly string[], sink: AnswerSink): Detached {
    const asksForAll = fields.length === 0 && !isPartial(req);
    const detached = asksForAll ? req : asking(req, fields);
    const kind = this.#kindFor(Object.getPrototypeOf(res));
    return {
      req: detached,
      res: Reflect.construct(DetachedResponse, [detached, sink, this.#check], kind) as Response,
    };
  }

  /** Responses with Express's methods below ours: one kind for all, or V8 would take each for another. */
  #kindFor(express: object): Kind {
    const known = this.#kinds.get(express);
    if (known) return known;
    const kind: Kind = function Kind() {};
    kind.prototype = Object.create(express, Object.getOwnPropertyDescriptors(DetachedResponse.prototype));
    this.#kinds.set(express, kind);
    return kind;
  }
}

/** What is made has its `prototype`. */
type Kind = () => void;

/** Node's own response checks what is written to it; only where it goes is changed. */
class DetachedResponse extends http.ServerResponse {
  readonly locals = {};
  readonly #sink: AnswerSink;
  readonly #check: LineCheck;
  #trailers: [string, string][] | undefined;
  #isOver = false;

  constructor(req: Request, sink: AnswerSink, check: LineCheck) {
    super(req);
    this.#sink = sink;
    this.#check = check;
    // Every stage waits for its end.
    this.setMaxListeners(0);
  }

  // A getter of Node's, which its types do not tell.
  static {
    Object.defineProperty(DetachedResponse.prototype, 'writableFinished', {
      get(this: DetachedResponse) {
        return this.#isOver;
      },
    });
  }

  override writeHead(...args: unknown[]): this {
    if (!this.#beginPlainly(args)) {
      Reflect.apply(super.writeHead, this, args);
      this.#sink.head(this.statusCode, this.statusMessage, headFields(this, args));
    }
    return this;
  }

  /** A whole head at once, as `forward` writes it, is checked alone: it need not be spelt for a connection, too. */
  #beginPlainly(args: readonly unknown[]): boolean {
    const [status, reason, lines] = args;
    if (this.headersSent || typeof status !== 'number' || typeof reason !== 'string') return false;
    if (!isFlat(lines) || this.getHeaderNames().length > 0) return false;
    if (!isSendable(status, reason, lines, this.#check)) return false;
    this.statusCode = status;
    this.statusMessage = reason;
    // What Node takes for a head that is written.
    (this as { _header?: string })._header = reason || 'OK';
    this.#sink.head(status, reason, lines);
    return true;
  }

  override write(...args: unknown[]): boolean {
    return !this.#isOver && this.#put(args, false);
  }

  override flushHeaders(): void {
    this.#begin();
    this.#sink.flush();
  }

  override writeInformation(status: number, fields: unknown): void {
    this.#sink.interim(status, fields as FieldLines);
  }

  override addTrailers(lines: [string, string][]): void {
    this.#trailers = [...(this.#trailers ?? []), ...lines];
  }

  override end(...args: unknown[]): this {
    if (this.#isOver) return this;
    const chunk = chunkOf(args);
    // As Node does for an answer that is said in one piece.
    if (!this.headersSent && chunk) this.setHeader('Content-Length', chunk.length);
    this.#put(args, true);
    this.#close(true);
    this.#sink.end(this.#trailers ?? NO_TRAILERS);
    return this;
  }

  override destroy(): this {
    if (this.#isOver) return this;
    this.#close(false);
    this.#sink.cut();
    return this;
  }

  #begin(): void {
    if (!this.headersSent) this.writeHead(this.statusCode);
  }

  #put(args: readonly unknown[], isLast: boolean): boolean {
    this.#begin();
    const chunk = chunkOf(args);
    const accepted = chunk === undefined || chunk.length === 0 || this.#sink.data(chunk, isLast);
    const written = args.at(-1);
    if (typeof written === 'function') process.nextTick(written as () => void);
    return accepted;
  }

  #close(isWhole: boolean): void {
    this.#isOver = true;
    this.finished = true;
    this.destroyed = true;
    (this as { _closed?: boolean })._closed = true;
    process.nextTick(tellEnd, this, isWhole);
  }
}

function tellEnd(res: ServerResponse, isWhole: boolean): void {
  if (isWhole) res.emit('finish');
  res.emit('close');
}

/** Whether Node would send it; why it would not, Node says itself. */
function isSendable(status: number, reason: string, lines: readonly string[], check: LineCheck): boolean {
  return status >= 100 && status <= 999 && isFieldValue(reason) && check.firstBad(lines) === -1;
}

/** With `req` as its prototype it would cost 10 us: V8 gives each object that becomes one a shape of its own. */
function asking(req: Request, fields: readonly string[]): Request {
  const copy: Request = Object.assign(Object.create(Object.getPrototypeOf(req)), req);
  // Nobody listens to it yet.
  Object.assign(copy, { _events: undefined, _eventsCount: 0 });
  copy.rawHeaders = [...withoutPartial(req.rawHeaders), ...fields];
  copy.headers = headersWith(req.headers, fields);
  return copy;
}

function isPartial({ headers }: Request): boolean {
  for (const name of PARTIAL) if (headers[name] !== undefined) return true;
  return false;
}

function withoutPartial(rawHeaders: readonly string[]): string[] {
  const kept: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (!PARTIAL.includes(name.toLowerCase())) kept.push(name, rawHeaders[i + 1] as string);
  }
  return kept;
}

function headersWith(headers: Request['headers'], fields: readonly string[]): Request['headers'] {
  const { 'if-none-match': _e, 'if-modified-since': _d, 'if-range': _i, range: _r, ...whole } = headers;
  for (let i = 0; i < fields.length; i += 2) whole[(fields[i] as string).toLowerCase()] = fields[i + 1];
  return whole;
}
