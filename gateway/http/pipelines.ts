import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** Requests that a connection may have sent ahead, behind the one that is being answered, before no more is read. */
const MAX_AHEAD = 100;
/** The same of all connections of a port: one of them that has sent more than its part ahead is then closed. */
const MAX_AHEAD_IN_ALL = 20_000;

/**
 * Requests that clients have sent without waiting for the response before (RFC 9112 section 9.3.2). Node reads and keeps
 * as many as a client sends, a few kilobytes for each that may have 30 bytes. Here a connection is not read on while a
 * hundred wait, but for what one read has brought along.
 */
export class Pipelines {
  readonly #ahead = new WeakMap<Socket, number>();
  #inAll = 0;

  /** Called with each request whose response is not the next on its connection. Returns how many of that wait with it. */
  enter({ socket }: IncomingMessage, res: ServerResponse): number {
    const ahead = this.#ahead.get(socket);
    if (ahead === undefined) socket.once('close', () => this.#change(socket, -this.#waiting(socket)));
    this.#change(socket, 1);
    res.once('socket', () => this.#leave(socket));
    const waiting = this.#waiting(socket);
    if (waiting > MAX_AHEAD) this.#hold(socket);
    return waiting;
  }

  /** Whether a connection has sent so many ahead that they are no longer served side by side. */
  isFull(waiting: number): boolean {
    return waiting > MAX_AHEAD;
  }

  #hold(socket: Socket): void {
    if (this.#inAll > MAX_AHEAD_IN_ALL) {
      socket.destroy();
      return;
    }
    // Node itself reads on behind each request; this comes after, when some may have been answered.
    process.nextTick(() => {
      if (this.#waiting(socket) > MAX_AHEAD) socket.pause();
    });
  }

  #leave(socket: Socket): void {
    this.#change(socket, -1);
    if (this.#ahead.get(socket) === MAX_AHEAD) socket.resume();
  }

  #change(socket: Socket, by: number): void {
    this.#inAll += by;
    this.#ahead.set(socket, this.#waiting(socket) + by);
  }

  #waiting(socket: Socket): number {
    return this.#ahead.get(socket) ?? 0;
  }
}
