import { readFile } from 'node:fs/promises';
import { type Cancel, type Clock, systemClock } from '../clock/clock.ts';
import { listener } from '../util/listener.ts';
import { type KeyPair, keyPair } from './keyPair.ts';

const LOOK_EVERY_MS = 10_000;

export interface CertificateOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** Another pair is in force. */
  readonly onRenewed?: (pair: KeyPair) => void;
  /** The files hold no usable pair, told once for each content: the pair before stays in force. */
  readonly onBroken?: (error: Error) => void;
  readonly clock?: Clock;
}

/** Files that could not be used, as the last look found them. */
interface Trouble {
  readonly what: string;
  readonly isTold: boolean;
}

/**
 * A certificate and its key from two files, renewed with them.
 *
 * The files are read every ten seconds. Nothing else sees every way of renewing: Kubernetes swaps a symbolic link two
 * directories up, certbot one beside the file, and neither network file systems nor bind mounts tell of changes.
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

  /** Rejects when the files cannot be read or hold no usable pair. */
  static async open(options: Readonly<CertificateOptions>): Promise<Certificate> {
    const [cert, key] = await textsOf(options);
    return new Certificate(options, keyPair(cert, key));
  }

  get pair(): KeyPair {
    return this.#pair;
  }

  /** Tells `follower` of each pair from the next on. */
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

  /** At the second look in a row: two files are never written at one moment, and the other one may be on its way. */
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
