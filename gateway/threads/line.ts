/** The parent's port of a worker thread, or that thread as its parent sees it. */
interface Mail {
  on(event: 'message', listener: (envelope: Envelope) => void): unknown;
  postMessage(envelope: Envelope): void;
}

/** What travels between two threads. */
type Envelope =
  | { readonly kind: 'told'; readonly content: unknown }
  | { readonly kind: 'asked'; readonly id: number; readonly content: unknown }
  | { readonly kind: 'answered'; readonly id: number; readonly content: unknown }
  | { readonly kind: 'refused'; readonly id: number; readonly content: unknown };

export interface LineOptions<Told, Asked> {
  /** The other thread tells something. */
  readonly onTold: (told: Told) => void;
  /** The other thread asks something; what this gives or throws is its answer. */
  readonly onAsked: (asked: Asked) => Promise<unknown> | unknown;
}

/** Questions and news between two threads, in order. */
export class Line<Told, Asked> {
  readonly #port: Mail;
  readonly #options: LineOptions<Told, Asked>;
  readonly #open = new Map<number, PromiseWithResolvers<unknown>>();
  #lastId = 0;

  constructor(port: Mail, options: LineOptions<Told, Asked>) {
    this.#port = port;
    this.#options = options;
    port.on('message', (envelope) => this.#take(envelope));
  }

  tell(content: unknown): void {
    this.#port.postMessage({ kind: 'told', content });
  }

  /** Rejects with what the other thread throws, and when the line is cut. */
  ask<Answer>(content: unknown): Promise<Answer> {
    this.#lastId += 1;
    const answer = Promise.withResolvers<unknown>();
    this.#open.set(this.#lastId, answer);
    this.#port.postMessage({ kind: 'asked', id: this.#lastId, content });
    return answer.promise as Promise<Answer>;
  }

  /** The other thread has ended: whoever waits for its answer gets none. */
  cut(): void {
    for (const { reject } of this.#open.values()) reject(new Error('the other thread has ended'));
    this.#open.clear();
  }

  #take(envelope: Envelope): void {
    if (envelope.kind === 'told') {
      this.#options.onTold(envelope.content as Told);
    } else if (envelope.kind === 'asked') {
      void this.#answer(envelope.id, envelope.content as Asked);
    } else {
      const question = this.#open.get(envelope.id);
      this.#open.delete(envelope.id);
      if (envelope.kind === 'answered') question?.resolve(envelope.content);
      else question?.reject(envelope.content);
    }
  }

  async #answer(id: number, asked: Asked): Promise<void> {
    try {
      const content = await this.#options.onAsked(asked);
      this.#port.postMessage({ kind: 'answered', id, content });
    } catch (content) {
      this.#port.postMessage({ kind: 'refused', id, content });
    }
  }
}
