import type { Socket } from 'node:net';
import { FrameEnds } from './frameEnds.ts';

/** A close frame with status 1001, "going away" (RFC 6455 section 7.4.1), as a server sends it. */
const GOING_AWAY = Buffer.from([0x88, 0x02, 0x03, 0xe9]);

/** An open WebSocket between a client and a service. Whoever opened it pipes the bytes, which are not changed. */
export class OpenWebSocket {
  readonly #client: Socket;
  readonly #service: Socket;
  readonly #ends = new FrameEnds();
  #leaving = false;
  #said = false;

  constructor(client: Socket, service: Socket) {
    this.#client = client;
    this.#service = service;
    // Delayed until the pipe exists: otherwise this listener would consume the bytes that came right after the 101.
    process.nextTick(() => service.on('data', this.#onData));
  }

  /**
   * Sends the client a close frame, after the frame that is being sent. What the client still sends, in particular its own
   * close frame, reaches the service; what the service sends does not reach the client any more.
   */
  goAway(): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#service.unpipe(this.#client).resume();
    if (this.#ends.between) this.#say();
  }

  #say(): void {
    this.#said = true;
    if (this.#client.writable) this.#client.write(GOING_AWAY);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (!this.#leaving) this.#ends.pass(chunk);
    else if (!this.#said) this.#finishFrame(chunk);
  };

  #finishFrame(chunk: Buffer): void {
    const end = this.#ends.toEnd(chunk);
    if (this.#client.writable) this.#client.write(chunk.subarray(0, end));
    if (this.#ends.between) this.#say();
  }
}
