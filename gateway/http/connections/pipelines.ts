import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

/** How many requests may wait on a connection, behind the current one, before it is not read any more. */
const MAX_AHEAD = 100;
/** The same for all connections of a port together. Beyond it, a connection with more than its part is closed. */
const MAX_AHEAD_IN_ALL = 20_000;

/**
 * Requests that clients have sent without waiting for the previous response (RFC 9112 section 9.3.2). Node reads as many as a
 * client sends and keeps a few kilobytes for each, although a request may have only 30 bytes. Here a connection is not read
 * while a hundred requests wait, except for those that were part of the last read.
 */
export class Pipelines {
  readonly #ahead = new WeakMap<Socket, number>();
  #inAll = 0;

  /**
   * To be called with each request whose response is not the next one on its connection. Returns how many requests wait on
   * that connection.
   */
  enter({ socket }: IncomingMessage, res: ServerResponse): number {
    const ahead = this.#ahead.get(socket);
    if (ahead === undefined) socket.once('close', () => this.#change(socket, -this.#waiting(socket)));
    this.#change(socket, 1);
    res.once('socket', () => this.#leave(socket));
    const waiting = this.#waiting(socket);
    if (waiting > MAX_AHEAD) this.#hold(socket);
    return waiting;
  }

  /** Whether so many requests wait on a connection that they are no longer served concurrently. */
  isFull(waiting: number): boolean {
    return waiting > MAX_AHEAD;
  }

  #hold(socket: Socket): void {
    if (this.#inAll > MAX_AHEAD_IN_ALL) {
      socket.destroy();
      return;
    }
    // Node resumes reading after each request. This runs after that, when some responses may have been sent.
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
