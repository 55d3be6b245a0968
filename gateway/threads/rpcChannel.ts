/** The parent's port of a worker thread, or the `Worker` as its parent sees it. */
interface MessagePort {
  on(event: 'message', listener: (message: Message) => void): unknown;
  postMessage(message: Message): void;
}

/** What travels between two threads: a notice, or a call and what becomes of it. */
type Message =
  | { readonly kind: 'notice'; readonly content: unknown }
  | { readonly kind: 'call'; readonly id: number; readonly content: unknown }
  | { readonly kind: 'result'; readonly id: number; readonly content: unknown }
  | { readonly kind: 'error'; readonly id: number; readonly content: unknown };

export interface RpcChannelOptions<Told, Asked> {
  /** The other thread tells something and expects no result. */
  readonly onTold: (told: Told) => void;
  /** The other thread asks something; what this returns or throws is sent back. */
  readonly onAsked: (asked: Asked) => Promise<unknown> | unknown;
}

/** Notices and calls between two threads, delivered in order. */
export class RpcChannel<Told, Asked> {
  readonly #port: MessagePort;
  readonly #options: RpcChannelOptions<Told, Asked>;
  readonly #pending = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;

  constructor(port: MessagePort, options: RpcChannelOptions<Told, Asked>) {
    this.#port = port;
    this.#options = options;
    port.on('message', (message) => this.#receive(message));
  }

  tell(content: unknown): void {
    this.#port.postMessage({ kind: 'notice', content });
  }

  /** Rejects with what the other thread throws, and when the channel is closed. */
  ask<Result>(content: unknown): Promise<Result> {
    this.#lastId += 1;
    const result = Promise.withResolvers<unknown>();
    this.#pending.set(this.#lastId, result);
    this.#port.postMessage({ kind: 'call', id: this.#lastId, content });
    return result.promise as Promise<Result>;
  }

  /** To be called when the other thread has ended: every pending call is rejected. */
  close(): void {
    for (const { reject } of this.#pending.values()) reject(new Error('the other thread has ended'));
    this.#pending.clear();
  }

  #receive(message: Message): void {
    if (message.kind === 'notice') {
      this.#options.onTold(message.content as Told);
    } else if (message.kind === 'call') {
      void this.#serve(message.id, message.content as Asked);
    } else {
      const call = this.#pending.get(message.id);
      this.#pending.delete(message.id);
      if (message.kind === 'result') call?.resolve(message.content);
      else call?.reject(message.content);
    }
  }

  async #serve(id: number, asked: Asked): Promise<void> {
    try {
      const content = await this.#options.onAsked(asked);
      this.#port.postMessage({ kind: 'result', id, content });
    } catch (content) {
      this.#port.postMessage({ kind: 'error', id, content });
    }
  }
}
