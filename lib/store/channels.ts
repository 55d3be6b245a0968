import { listener as harmless } from '../util/listener.ts';

type Listener = (message: string) => void;

/** The listeners of this process, by channel. */
export class Channels {
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #onError: (error: Error) => void;

  /** @param onError gets what a listener throws; other listeners and the publisher are not affected */
  constructor(onError: (error: Error) => void) {
    this.#onError = onError;
  }

  /** The channels that have listeners. */
  get names(): string[] {
    return [...this.#listeners.keys()];
  }

  has(channel: string): boolean {
    return this.#listeners.has(channel);
  }

  /** Adds a listener; the returned function removes it and is safe to call twice. */
  join(channel: string, listener: Listener): () => void {
    const member = harmless(listener, this.#onError);
    const members = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, members.add(member));
    return () => {
      members.delete(member);
      if (members.size === 0 && this.#listeners.get(channel) === members) this.#listeners.delete(channel);
    };
  }

  deliver(channel: string, message: string): void {
    for (const listener of [...(this.#listeners.get(channel) ?? [])]) listener(message);
  }
}
