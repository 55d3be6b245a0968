import { EventEmitter } from 'node:events';
import { ServerResponse } from 'node:http';
import type { RequestHandler, Response } from 'express';
import { exchangeOf } from '../../lib/exchange/exchange.ts';
import { chunkOf, givenLines } from '../../lib/response/givenHead.ts';
import type { ResponseSink } from '../../lib/response/sink.ts';

/**
 * A handler that writes with Node's methods, as one that stands behind a cache: those write to `exchange.response`, for
 * the client may have left. It plays the service without a connection to one.
 */
export function asOrigin(handler: RequestHandler): RequestHandler {
  return (req, res, next) => {
    const isConnected = res instanceof ServerResponse;
    return handler(req, isConnected ? res : (new ServiceResponse(res) as unknown as Response), next);
  };
}

/** As much of Node's response as the services of tests use. */
class ServiceResponse extends EventEmitter {
  readonly #sink: ResponseSink;
  readonly #set = new Map<string, string>();
  #hasBegun = false;

  constructor(res: Response) {
    super();
    // It belongs to the same exchange.
    Object.assign(this, res);
    this.#sink = exchangeOf(res).response;
    this.#sink.onDrain(() => this.emit('drain'));
  }

  setHeader(name: string, value: string | number): this {
    this.#set.set(name, String(value));
    return this;
  }

  writeHead(status: number, fields: unknown = []): this {
    this.#hasBegun = true;
    this.#sink.head(status, 'OK', [...[...this.#set].flat(), ...givenLines(fields)]);
    return this;
  }

  flushHeaders(): void {
    this.#begin();
    this.#sink.flush();
  }

  write(content: string | Buffer, whenDone?: () => void): boolean {
    this.#begin();
    if (whenDone) process.nextTick(whenDone);
    return this.#sink.content(chunkOf([content]) as Buffer);
  }

  end(content?: string | Buffer): this {
    const last = chunkOf([content]);
    // As Node does for a response in one piece.
    if (last && !this.#hasBegun) this.setHeader('Content-Length', last.length);
    this.#begin();
    this.#sink.end(last, []);
    return this;
  }

  destroy(): this {
    this.#sink.abort();
    return this;
  }

  #begin(): void {
    if (!this.#hasBegun) this.writeHead(200);
  }
}
