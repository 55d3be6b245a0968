import type { Clock } from '../../clock/clock.ts';
import type { FieldLines } from '../../http/fields.ts';
import type { ResponseObserver } from '../../response/hooks.ts';
import type { Heads } from '../rules/heads.ts';
import { ageMs, type Policy, type ResponseTerms } from '../rules/policy.ts';
import { type Content, Gathering } from './content.ts';
import type { GatheringRoom } from './gatheringRoom.ts';

/** A response that was given whole and may be stored. */
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
  /** Called once, with a response that was given whole. */
  recorded(recording: Recording): void;
}

/**
 * Records a response while it is passed on, if it may be stored. It gives up when the response grows too large or there is
 * no room. `end` or `giveUp` must be called: they give back the room that was taken.
 */
export class Recorder implements ResponseObserver {
  readonly #context: RecorderContext;
  readonly #requestedAtMs: number;
  readonly #listener: RecorderListener;
  #head: Omit<Recording, 'body'> | undefined;
  /** The length of the content by its head. Undefined: the head does not say. */
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

  /** What is being recorded. Undefined: nothing, or no more. */
  get recording(): Omit<Recording, 'body'> | undefined {
    return this.#head;
  }

  /** Whether it is certain to be stored if it ends well: its length is known, and there is room. */
  get fits(): boolean {
    return this.#head !== undefined && this.#promisedBytes !== undefined;
  }

  /** Whether it gave up for want of room: the next response may well be stored. */
  get lacksRoom(): boolean {
    return this.#lacksRoom;
  }

  head(status: number, lines: FieldLines): void {
    const { policy, heads, maxBodyBytes, clock } = this.#context;
    const { caching, stored } = heads.read(lines);
    const terms = policy.termsOf(status, caching, clock.now());
    const length = caching['content-length'];
    this.#promisedBytes = length === undefined ? undefined : Number(length);
    if (!terms || (this.#promisedBytes ?? 0) > maxBodyBytes) return;
    if (!this.#takeRoom(this.#promisedBytes ?? 0)) return;
    const generatedAtMs = this.#requestedAtMs - ageMs(caching);
    // Whoever stores a response without a date adds the time at which it came (RFC 9110 section 6.6.1).
    const isDated = caching.date !== undefined;
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
      // A stored response is whole, so its length is known, also if it came in chunks.
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
