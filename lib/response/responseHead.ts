import type { ServerResponse } from 'node:http';
import type { FieldLines } from '../http/fields.ts';
import { AddedFields } from './addedFields.ts';
import { setLines } from './givenHead.ts';
import type { HeadEdit, HeadObserver, MakeValue } from './hooks.ts';
import type { WriteHead } from './nodeMethods.ts';
import { besideSet, hasSetFields, mergeIntoSet, setInstead, withdraw } from './setFields.ts';

export const NOBODY: readonly never[] = [];

/** The head of a response, with the hooks that see and change it. It is a part of `ResponseWriter`. */
export class ResponseHead {
  protected readonly res: ServerResponse;
  readonly #writeHead: WriteHead;
  readonly #added = new AddedFields();
  #edits: readonly HeadEdit[] = NOBODY;
  #headObservers: readonly HeadObserver[] = NOBODY;

  constructor(res: ServerResponse) {
    this.res = res;
    this.#writeHead = res.writeHead as WriteHead;
  }

  /**
   * Appends a field to the head, beside what others say under its name. `setHeader` would do as well, but it makes Node
   * copy, check and look up all other fields one by one, which costs more than the rest of the head.
   */
  add(name: string, value: string | MakeValue): void {
    this.#added.add(name, value, false);
  }

  /** The same, in place of all that others say under its name. */
  replace(name: string, value: string | MakeValue): void {
    this.#added.add(name, value, true);
  }

  /** Has `edit` change the head, after those that were given before. */
  edit(edit: HeadEdit): void {
    this.#edits = this.#edits === NOBODY ? [edit] : [...this.#edits, edit];
  }

  /** Whether anything edits the head. */
  get isEdited(): boolean {
    return this.#edits !== NOBODY;
  }

  /** Whether the head will have a field of this name that was set or added. */
  hasField(name: string): boolean {
    return this.res.hasHeader(name) || this.#added.has(name);
  }

  /** The lines of a head of this status that somebody else writes, that of a 101: with what was added, and edited. */
  complete(lines: string[], status: number): string[] {
    return this.#edited(this.#added.into(lines, status, this.res), status);
  }

  /** Calls `observer` once the head was sent. */
  observeHead(observer: HeadObserver): void {
    this.#headObservers = [...this.#headObservers, observer];
  }

  interim(status: number, fields: FieldLines): void {
    const res = this.res;
    if (res.headersSent || res.req.httpVersion !== '1.1') return;
    try {
      res.writeInformation(status, this.#edits === NOBODY ? fields : this.#passed(fields));
    } catch {
      // Node refuses fields that cannot be sent. They were only hints: the response itself may be good.
    }
  }

  /** Fields that are set on the response already stand beside these, or in their place. */
  head(status: number, reason: string, fields: string[]): void {
    const res = this.res;
    const hasSet = hasSetFields(res);
    const lines = hasSet ? besideSet(res, fields) : fields;
    try {
      this.begin(status, reason, lines, hasSet);
    } catch (error) {
      // Where nothing was set before, all that is set now is of this head.
      withdraw(res, hasSet ? lines : setLines(res));
      throw error;
    }
  }

  flush(): void {
    this.res.flushHeaders();
  }

  /** Sends the head with what was added, and tells who observes it. `lines` are the writer's own to change. */
  protected begin(status: number, reason: string | undefined, lines: string[], hasSet: boolean): void {
    const res = this.res;
    const isObserved = this.#headObservers !== NOBODY;
    let given: FieldLines = lines;
    if (hasSet) {
      mergeIntoSet(res, lines);
      if (isObserved) given = setLines(res);
      this.#added.setOn(res, status);
      if (this.#edits !== NOBODY) setInstead(res, this.#edited(setLines(res), status));
      this.#writeHead.call(res, status, reason);
    } else {
      if (isObserved) given = lines.slice();
      this.#writeHead.call(res, status, reason, this.complete(lines, status));
    }
    for (const observer of this.#headObservers) observer.head(status, given);
  }

  /** The fields of an interim response that edits let pass. */
  #passed(fields: FieldLines): string[] {
    return fields.filter((_, i) => !this.drops(fields[i & ~1] as string));
  }

  /** Whether a field of this name must not pass outside of the head. */
  protected drops(name: string): boolean {
    const lower = name.toLowerCase();
    return this.#edits.some((edit) => edit.drops(lower));
  }

  #edited(lines: string[], status: number): string[] {
    let edited = lines;
    for (const edit of this.#edits) edited = edit.edit(edited, status, this.res);
    return edited;
  }
}
