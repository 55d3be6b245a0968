import { readFile } from 'node:fs/promises';
import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../util/listener.ts';
import { type KeyPair, keyPair } from './keyPair.ts';

const LOOK_EVERY_MS = 10_000;

export interface CertificateOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** Called when another pair is in use. */
  readonly onRenewed?: (pair: KeyPair) => void;
  /** Called once for each content of the files that is no usable pair. The previous pair stays in use. */
  readonly onBroken?: (error: Error) => void;
  readonly clock?: Clock;
}

/** The contents of files that could not be used, from the last check. */
interface Trouble {
  readonly what: string;
  readonly isTold: boolean;
}

/**
 * A certificate and its key from two files, reloaded when these change.
 *
 * The files are read every ten seconds. File watching would miss some renewals: Kubernetes replaces a symbolic link two
 * directories above, certbot one beside the file, and network file systems and bind mounts report no changes.
 */
export class Certificate {
  readonly #options: CertificateOptions;
  readonly #clock: Clock;
  readonly #followers = new Set<(pair: KeyPair) => void>();
  #pair: KeyPair;
  #trouble: Trouble | undefined;
  #cancelLook: Cancel = () => {};
  #isWatching = false;

  private constructor(options: CertificateOptions, pair: KeyPair) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#pair = pair;
  }

  /** Rejects when the files cannot be read or are no usable pair. */
  static async open(options: Readonly<CertificateOptions>): Promise<Certificate> {
    const [cert, key] = await textsOf(options);
    return new Certificate(options, keyPair(cert, key));
  }

  get pair(): KeyPair {
    return this.#pair;
  }

  /** Calls `follower` with each new pair. */
  follow(follower: (pair: KeyPair) => void): void {
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
      const [cert, key] = await textsOf(this.#options);
      seen = cert + key;
      this.#take(cert, key);
      this.#trouble = undefined;
    } catch (error) {
      this.#complain(seen, error as Error);
    }
    this.#lookLater();
  }

  #take(cert: string, key: string): void {
    if (cert === this.#pair.cert && key === this.#pair.key) return;
    const pair = keyPair(cert, key);
    for (const follower of this.#followers) follower(pair);
    this.#pair = pair;
    listener(this.#options.onRenewed)(pair);
  }

  /** Reports a bad pair at the second check in a row: the two files are not written at the same moment. */
  #complain(seen: string, error: Error): void {
    const what = `${error.message}${seen}`;
    const isSecondLook = this.#trouble?.what === what;
    if (isSecondLook && !this.#trouble?.isTold) listener(this.#options.onBroken)(error);
    this.#trouble = { what, isTold: isSecondLook };
  }
}

function textsOf({ certFile, keyFile }: CertificateOptions): Promise<[cert: string, key: string]> {
  return Promise.all([readFile(certFile, 'utf8'), readFile(keyFile, 'utf8')]);
}
