import { chunkOf, givenLines } from './givenHead.ts';
import type { ContentGate, ContentTransform, ResponseObserver } from './hooks.ts';
import {
  callbackOf,
  type End,
  type Replacement,
  replaceWriteAndEnd,
  replaceWriteHead,
  WRITER,
  type Write,
  type Written,
} from './nodeMethods.ts';
import { NOBODY, ResponseHead } from './responseHead.ts';
import { hasSetFields } from './setFields.ts';
import type { ResponseSink, Trailers } from './sink.ts';

/** Longer content is not copied into a string. */
const MAX_STRING_BYTES = 16 * 1024;

/** The writer of the response on `res`: the same for everybody who asks. */
export function writerOf(res: Written<ResponseWriter>): ResponseWriter {
  return res[WRITER] ?? new ResponseWriter(res);
}

/**
 * The one way of a response to its client. Whoever must see or change a response uses a hook of this class; nobody else
 * replaces Node's methods (`nodeMethods.ts`). What is about the head stands in `ResponseHead`:
 *
 * - `add` and `replace` put a field into the head, whose value may depend on the status,
 * - `edit` changes the head with all that was added, right before it is sent,
 * - `observeHead` and `observe` show head and content as they were written: without added fields and edits, before the gate,
 * - `gate` keeps content back,
 * - `transform`, behind the gate, puts content into another form. An edit chooses it, after `expectTransform`.
 *
 * The hooks apply to what is written with this writer, and to what Express and others write with Node's own methods. They
 * are to be set before the head is written. A cut (`abort`) passes no hook: `exchange.onClose` tells of it.
 */
export class ResponseWriter extends ResponseHead implements ResponseSink, Replacement {
  readonly #write: Write;
  readonly #end: End;
  #observers: readonly ResponseObserver[] = NOBODY;
  #gate: ContentGate | undefined;
  #transform: ContentTransform | undefined;
  /** Whether an edit may choose a transform. */
  #mayTransform = false;
  /** Whether the transform has been given the end. */
  #transformEnded = false;
  #stored: Buffer | string | undefined;

  /** Use `writerOf`: a response has one. */
  constructor(res: Written<ResponseWriter>) {
    super(res);
    this.#write = res.write as Write;
    this.#end = res.end as End;
    replaceWriteHead(res, this);
  }

  /** Calls `observer` with everything that is written. */
  observe(observer: ResponseObserver): void {
    this.observeHead(observer);
    this.#observers = [...this.#observers, observer];
    this.#watchContent();
  }

  /** Puts a gate in front of the client; there is one at most. */
  gate(gate: ContentGate): void {
    this.#gate = gate;
    this.#watchContent();
  }

  /** To be called before the head by whoever adds an edit that may call `transform`. */
  expectTransform(): void {
    this.#mayTransform = true;
    this.#watchContent();
  }

  /** Has all content go through `transform`. To be called by an edit, for the head that it edits. */
  transform(transform: ContentTransform): void {
    this.#transform = transform;
  }

  /** The whole content of the response whose head is being written, where it is stored and so may come again. */
  get stored(): Buffer | string | undefined {
    return this.#stored;
  }

  /** Sends content that the transform has made. False: the client does not read fast enough, `drain` will follow. */
  put(chunk: Buffer): boolean {
    return this.#write.call(this.res, chunk);
  }

  /** Ends a response whose content the transform has put out, with its last piece, unless it has ended otherwise. */
  close(last: Buffer | undefined, whenDone: (() => void) | undefined): void {
    const res = this.res;
    if (res.writableEnded || res.destroyed) return;
    if (last === undefined) this.#end.call(res, whenDone);
    else this.#end.call(res, last, whenDone);
  }

  /** Sends content that the gate has kept. */
  release(chunk: Buffer): void {
    this.#send(chunk);
  }

  /** Ends a response whose end the gate has kept, unless it has ended otherwise. */
  finish(content: Buffer, whenDone: (() => void) | undefined): void {
    if (this.#transform) this.#endTransform(content, whenDone);
    else this.close(content, whenDone);
  }

  content(chunk: Buffer): boolean {
    const accepted = this.#gate?.keeps(chunk) ? true : this.#send(chunk);
    this.#tellContent(chunk);
    return accepted;
  }

  end(last: Buffer | undefined, trailers: Trailers): void {
    if (trailers.length > 0)
      this.res.addTrailers(trailers.filter(([name]) => !this.drops(name)) as [string, string][]);
    if (!this.#gate?.keepsEnd(last, undefined)) this.#endWith(last);
    this.#tellEnd(last);
  }

  /**
   * Writes a whole response of the gateway's own. In a string each character stands for one byte.
   *
   * @param isStored whether the same content may be given here again, and is not changed until then
   */
  whole(status: number, fields: string[], content: Buffer | string = '', isStored = false): void {
    if (isStored && this.#mayTransform) this.#stored = content;
    this.begin(status, undefined, fields, hasSetFields(this.res));
    // It leaves with the head in one piece. The method of the response may be a hook.
    this.res.end(content, 'latin1');
  }

  abort(): void {
    const res = this.res;
    // To an HTTP/1.0 client the end of the connection may be the end of the response: it needs a reset.
    if (res.req.httpVersion === '1.0') res.socket?.resetAndDestroy();
    res.destroy();
  }

  onDrain(listener: () => void): void {
    this.res.on('drain', listener);
  }

  offDrain(listener: () => void): void {
    this.res.off('drain', listener);
  }

  protected override begin(
    status: number,
    reason: string | undefined,
    lines: string[],
    hasSet: boolean,
  ): void {
    // A head that was refused may have chosen one.
    this.#transform = undefined;
    super.begin(status, reason, lines, hasSet);
  }

  protected override drops(name: string): boolean {
    return super.drops(name) || (this.#transform?.dropsTrailer(name.toLowerCase()) ?? false);
  }

  /**
   * Where it goes to a socket, content that is short goes as a string, which Node joins to a head that has not left yet:
   * written beside it, as a buffer is, it costs a tenth more.
   */
  #endWith(last: Buffer | undefined): void {
    const res = this.res;
    if (this.#transform) this.#endTransform(last, undefined);
    else if (last === undefined) this.#end.call(res);
    else if (res.socket && last.length <= MAX_STRING_BYTES)
      this.#end.call(res, last.toString('latin1'), 'latin1');
    else this.#end.call(res, last);
  }

  #send(chunk: Buffer): boolean {
    return this.#transform ? this.#transform.content(chunk) : this.#write.call(this.res, chunk);
  }

  #endTransform(last: Buffer | undefined, whenDone: (() => void) | undefined): void {
    if (this.#transformEnded) return;
    this.#transformEnded = true;
    this.#transform?.end(last, whenDone);
  }

  #tellContent(chunk: Buffer | undefined): void {
    if (chunk === undefined || chunk.length === 0) return;
    for (const observer of this.#observers) observer.content(chunk);
  }

  #tellEnd(last: Buffer | undefined): void {
    this.#tellContent(last);
    for (const observer of this.#observers) observer.end();
  }

  #watchContent(): void {
    replaceWriteAndEnd(this.res);
  }

  /** What `res.writeHead` does. */
  writeHeadGiven(status: number, reason: unknown, fields: unknown): void {
    const phrase = typeof reason === 'string' ? reason : undefined;
    const lines = givenLines(phrase === undefined ? (fields ?? reason) : fields);
    this.begin(status, phrase, lines, hasSetFields(this.res));
  }

  /** What `res.write` does where somebody sees or keeps the content. */
  writeGiven(args: readonly unknown[]): boolean {
    const chunk = chunkOf(args);
    const isKept = chunk !== undefined && (this.#gate?.keeps(chunk) ?? false);
    if (!isKept) this.#beginIfDue(undefined);
    const isTaken = isKept || (this.#transform !== undefined && chunk !== undefined);
    if (isTaken) process.nextTick(callbackOf(args) ?? doNothing);
    const accepted =
      isKept ||
      (isTaken ? this.#send(chunk as Buffer) : (Reflect.apply(this.#write, this.res, args) as boolean));
    this.#tellContent(chunk);
    return accepted;
  }

  /** What `res.end` does where somebody sees or keeps the content. */
  endGiven(args: readonly unknown[]): void {
    const isAgain = this.res.writableEnded || this.#transformEnded;
    const last = chunkOf(args);
    if (!this.#gate?.keepsEnd(last, callbackOf(args))) {
      this.#beginIfDue(last?.length ?? 0);
      if (this.#transform) this.#endTransform(last, callbackOf(args));
      else Reflect.apply(this.#end, this.res, args);
    }
    if (!isAgain) this.#tellEnd(last);
  }

  /**
   * Writes the head where Node would only do so within `write` or `end`, too late for a transform of what these are given.
   *
   * @param wholeBytes length of all content, if it is known: Node says it where nobody else does
   */
  #beginIfDue(wholeBytes: number | undefined): void {
    const res = this.res;
    if (!this.#mayTransform || res.headersSent) return;
    const isOpen = !res.hasHeader('Content-Length') && !res.hasHeader('Transfer-Encoding');
    if (wholeBytes !== undefined && isOpen) res.setHeader('Content-Length', wholeBytes);
    res.writeHead(res.statusCode);
  }
}

function doNothing(): void {}
