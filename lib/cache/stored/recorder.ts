import type { Clock } from '../../clock/clock.ts';
import type { FieldLines } from '../../http/fields.ts';
import type { ResponseObserver } from '../../response/hooks.ts';
import type { Heads } from '../rules/heads.ts';
import { ageMs, type Policy, type ResponseTerms } from '../rules/policy.ts';
import { type Content, Gathering } from './content.ts';
import type { GatheringRoom } from './gatheringRoom.ts';

/** An answer that was given whole and may be stored. */
export interface Recording {
  readonly status: number;
  readonly fields: FieldLines;
  readonly terms: ResponseTerms;
  readonly generatedAtMs: number;
  readonly body: Content;
}

/** What all recorders of one cache share. */
export interface RecorderContext {
  readonly policy: Policy;
  readonly heads: Heads;
  readonly maxBodyBytes: number;
  readonly room: GatheringRoom;
  /** There was no room for a response that may be stored. */
  readonly onDeclined: () => void;
  readonly clock: Clock;
}

export interface RecorderListener {
  /** Called once, with an answer that was given whole. */
  recorded(recording: Recording): void;
}

/**
 * Copies an answer that may be stored while it streams past, and gives up when it grows too large or there is no room.
 * What it has taken of the room is given back at the end or by `giveUp`, one of which must be called.
 */
export class Recorder implements ResponseObserver {
  readonly #context: RecorderContext;
  readonly #requestedAtMs: number;
  readonly #listener: RecorderListener;
  #head: Omit<Recording, 'body'> | undefined;
  /** Content that the head promises; undefined when it does not say. */
  #promisedBytes: number | undefined;
  #gathering: Gathering | undefined;
  #takenBytes = 0;
  #lacksRoom = false;

  /**
   * @param requestedAtMs when the service was asked, in milliseconds since the epoch: age counts from there (RFC 9111
   * section 4.2.3)
   */
  constructor(context: RecorderContext, requestedAtMs: number, listener: RecorderListener) {
    this.#context = context;
    this.#requestedAtMs = requestedAtMs;
    this.#listener = listener;
  }

  /** What is being recorded; undefined when there is nothing to record, or no more. */
  get recording(): Omit<Recording, 'body'> | undefined {
    return this.#head;
  }

  /** Whether it is certain to fit. */
  get fits(): boolean {
    return this.#head !== undefined && this.#promisedBytes !== undefined;
  }

  /** Whether it gave up for want of room: the next answer may well be stored. */
  get lacksRoom(): boolean {
    return this.#lacksRoom;
  }

  head(status: number, lines: FieldLines): void {
    const { policy, heads, maxBodyBytes, clock } = this.#context;
    const { telling, stored } = heads.read(lines);
    const terms = policy.termsOf(status, telling, clock.now());
    const length = telling['content-length'];
    this.#promisedBytes = length === undefined ? undefined : Number(length);
    if (!terms || (this.#promisedBytes ?? 0) > maxBodyBytes) return;
    if (!this.#takeRoom(this.#promisedBytes ?? 0)) return;
    const generatedAtMs = this.#requestedAtMs - ageMs(telling);
    // RFC 9110 section 6.6.1: whoever keeps an answer without a date says when it came.
    const isDated = telling.date !== undefined;
    const fields = isDated ? stored : [...stored, 'Date', new Date(clock.now()).toUTCString()];
    this.#head = { status, fields, terms, generatedAtMs };
    this.#gathering = new Gathering(this.#promisedBytes ?? 0);
  }

  content(chunk: Buffer): void {
    const gathering = this.#gathering;
    if (!gathering) return;
    const missingBytes = gathering.bytes + chunk.length - this.#takenBytes;
    if (missingBytes > 0 && !this.#takeRoom(missingBytes)) {
      this.giveUp();
      return;
    }
    gathering.add(chunk);
    if (gathering.bytes > this.#context.maxBodyBytes) this.giveUp();
  }

  end(): void {
    const gathering = this.#gathering;
    const bytes = gathering?.bytes ?? 0;
    const isWhole = this.#promisedBytes === undefined || this.#promisedBytes === bytes;
    if (this.#head && gathering && isWhole) {
      const { status, terms, generatedAtMs } = this.#head;
      const says = this.#promisedBytes !== undefined || status === 204;
      // A stored answer is whole, so it can say how long it is, also where it came in chunks.
      const fields = says ? this.#head.fields : [...this.#head.fields, 'Content-Length', String(bytes)];
      this.#listener.recorded({ status, fields, terms, generatedAtMs, body: gathering.content() });
    }
    this.giveUp();
  }

  giveUp(): void {
    this.#head = undefined;
    this.#gathering = undefined;
    this.#context.room.giveBack(this.#takenBytes);
    this.#takenBytes = 0;
  }

  #takeRoom(bytes: number): boolean {
    if (this.#context.room.take(bytes)) {
      this.#takenBytes += bytes;
      return true;
    }
    this.#lacksRoom = true;
    this.#context.onDeclined();
    return false;
  }
}
