import { readFileSync, writeFileSync } from 'node:fs';

const NEWLINE = 10;

/** Lines of one length, one after the other and again from the first; a later process goes on where this one ended. */
export class Lines {
  readonly #placeFile: string;
  readonly #text: Buffer;
  readonly #width: number;
  #offset: number;

  /** Reads the file. */
  constructor(file: string) {
    this.#placeFile = `${file}.place`;
    this.#text = readFileSync(file);
    this.#width = this.#text.indexOf(NEWLINE) + 1;
    if (this.#width < 2 || this.#text.length % this.#width !== 0) {
      throw new Error(`${file} must hold lines of one length, each with its end`);
    }
    this.#offset = readPlace(this.#placeFile) % this.#text.length;
  }

  next(): string {
    const start = this.#offset;
    this.#offset = (start + this.#width) % this.#text.length;
    return this.#text.toString('latin1', start, start + this.#width - 1);
  }

  /** Where the next one to read the file begins. */
  keepPlace(): void {
    writeFileSync(this.#placeFile, String(this.#offset));
  }
}

function readPlace(file: string): number {
  try {
    return Number(readFileSync(file, 'latin1'));
  } catch {
    // Nobody has read any of it yet.
    return 0;
  }
}
