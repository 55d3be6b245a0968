import type { Clock } from '../clock/clock.ts';
import { type KeyPair, keyPair } from './keyPair.ts';
import { RenewedFiles } from './renewedFiles.ts';

export interface CertificateOptions {
  readonly certFile: string;
  readonly keyFile: string;
  /** Called when another pair is in use. */
  readonly onRenewed?: (pair: KeyPair) => void;
  /** Called once for each content of the files that is no usable pair. The previous pair stays in use. */
  readonly onBroken?: (error: Error) => void;
  readonly clock?: Clock;
}

/** A certificate and its key from two files, reloaded when these change. */
export class Certificate {
  readonly #files: RenewedFiles<KeyPair>;

  private constructor(files: RenewedFiles<KeyPair>) {
    this.#files = files;
  }

  /** Rejects when the files cannot be read or are no usable pair. */
  static async open({ certFile, keyFile, ...rest }: Readonly<CertificateOptions>): Promise<Certificate> {
    const parse = ([cert = '', key = '']: readonly string[]) => keyPair(cert, key);
    return new Certificate(await RenewedFiles.open({ ...rest, files: [certFile, keyFile], parse }));
  }

  get pair(): KeyPair {
    return this.#files.value;
  }

  /** Calls `follower` with each new pair. */
  follow(follower: (pair: KeyPair) => void): void {
    this.#files.follow(follower);
  }

  watch(): void {
    this.#files.watch();
  }

  stop(): void {
    this.#files.stop();
  }
}
