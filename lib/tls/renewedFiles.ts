import { readFile } from 'node:fs/promises';
import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../util/listener.ts';

const LOOK_EVERY_MS = 10_000;

export interface RenewedFilesOptions<Value> {
  readonly files: readonly string[];
  /** Makes the value of the files' texts, in the order of `files`. Throws when they cannot be used. */
  readonly parse: (texts: readonly string[]) => Value;
  /** Called when another value is in use. */
  readonly onRenewed?: ((value: Value) => void) | undefined;
  /** Called once for each content of the files that cannot be used. The previous value stays in use. */
  readonly onBroken?: ((error: Error) => void) | undefined;
  readonly clock?: Clock | undefined;
}

/** The contents of files that could not be used, from the last check. */
interface Trouble {
  readonly what: string;
  readonly isTold: boolean;
}

/**
 * What is made of the contents of several files together, made again when these change.
 *
 * The files are read every ten seconds. File watching would miss some renewals: Kubernetes replaces a symbolic link two
 * directories above, certbot one beside the file, and network file systems and bind mounts report no changes.
 */
export class RenewedFiles<Value> {
  readonly #options: RenewedFilesOptions<Value>;
  readonly #clock: Clock;
  readonly #followers = new Set<(value: Value) => void>();
  #texts: readonly string[];
  #value: Value;
  #trouble: Trouble | undefined;
  #cancelLook: Cancel = () => {};
  #isWatching = false;

  private constructor(options: RenewedFilesOptions<Value>, texts: readonly string[]) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#texts = texts;
    this.#value = options.parse(texts);
  }

  /** Rejects when a file cannot be read, and with what `parse` throws. */
  static async open<Value>(options: Readonly<RenewedFilesOptions<Value>>): Promise<RenewedFiles<Value>> {
    return new RenewedFiles(options, await textsOf(options.files));
  }

  /** What is in use. */
  get value(): Value {
    return this.#value;
  }

  /** Calls `follower` with each new value. */
  follow(follower: (value: Value) => void): void {
    this.#followers.add(follower);
  }

  watch(): void {
    this.#isWatching = true;
    this.#lookLater();
  }

  stop(): void {
    this.#isWatching = false;
    this.#cancelLook();
  }

  #lookLater(): void {
    if (this.#isWatching) this.#cancelLook = this.#clock.after(LOOK_EVERY_MS, () => this.#look());
  }

  async #look(): Promise<void> {
    let seen = '';
    try {
      const texts = await textsOf(this.#options.files);
      seen = texts.join('');
      this.#take(texts);
      this.#trouble = undefined;
    } catch (error) {
      this.#complain(seen, error as Error);
    }
    this.#lookLater();
  }

  #take(texts: readonly string[]): void {
    if (texts.every((text, at) => text === this.#texts[at])) return;
    const value = this.#options.parse(texts);
    for (const follower of this.#followers) follower(value);
    this.#texts = texts;
    this.#value = value;
    listener(this.#options.onRenewed)(value);
  }

  /** Reports broken files at the second check in a row: they are not all written at the same moment. */
  #complain(seen: string, error: Error): void {
    const what = `${error.message}${seen}`;
    const isSecondLook = this.#trouble?.what === what;
    if (isSecondLook && !this.#trouble?.isTold) listener(this.#options.onBroken)(error);
    this.#trouble = { what, isTold: isSecondLook };
  }
}

function textsOf(files: readonly string[]): Promise<string[]> {
  return Promise.all(files.map((file) => readFile(file, 'utf8')));
}
