import type { ServerResponse } from 'node:http';
import { isNamed } from '../http1/grammar.ts';

/** What is added to the answer on a response, and what writes its head otherwise. */
const ADDED = Symbol('added fields');

/** Makes a field's value for an answer of this status; undefined: the answer gets no such field. */
type MakeValue = (status: number) => string | undefined;

interface AddedField {
  readonly name: string;
  readonly makeValue: MakeValue;
  /** Whether no other field of that name goes with it. */
  readonly replaces: boolean;
}

interface Added {
  readonly fields: AddedField[];
  readonly writeHead: WriteHead;
}

/** The overloads of Node's as one. */
type WriteHead = (this: ServerResponse, status: number, reason?: unknown, fields?: unknown) => ServerResponse;

type Adding = ServerResponse & { [ADDED]: Added };

/**
 * Adds a field to the answer on `res`, whoever writes it; its value is made when its head is. Appended, so that the
 * service may have a word to say, too, unless it `replaces` what the service says (default false).
 *
 * `res.setHeader` would do, but one field that is set makes Node copy, check and look up all others of the answer one
 * by one: that costs more than the rest of the head.
 */
export function addAnswerField(
  res: ServerResponse & { [ADDED]?: Added },
  name: string,
  makeValue: MakeValue,
  { replaces = false } = {},
): void {
  const { [ADDED]: added, writeHead } = res;
  const field: AddedField = { name, makeValue, replaces };
  if (added) {
    added.fields.push(field);
    return;
  }
  res[ADDED] = { fields: [field], writeHead: writeHead as WriteHead };
  res.writeHead = writeHeadWithFields as typeof writeHead;
}

/** Whether the answer on `res` will have a field of this name that was set or added. */
export function hasAnswerField(res: ServerResponse & { [ADDED]?: Added }, name: string): boolean {
  return res.hasHeader(name) || (res[ADDED]?.fields.some((field) => field.name === name) ?? false);
}

/** One for all responses: with a function of its own on each, V8 keeps dead requests until it collects everything. */
function writeHeadWithFields(
  this: Adding,
  status: number,
  reason?: unknown,
  given?: unknown,
): ServerResponse {
  const { fields, writeHead } = this[ADDED];
  if (Array.isArray(given)) return writeHead.call(this, status, reason, withAdded(given, status, fields));
  if (Array.isArray(reason)) return writeHead.call(this, status, withAdded(reason, status, fields));
  for (const { name, makeValue, replaces } of fields) {
    if (replaces) this.removeHeader(name);
    const value = makeValue(status);
    if (value !== undefined) this.appendHeader(name, value);
  }
  return writeHead.call(this, status, reason, given);
}

/** A copy: what was given may be given again, for another answer. */
function withAdded(given: readonly string[], status: number, fields: readonly AddedField[]): string[] {
  let all = given.slice();
  for (const { name, makeValue, replaces } of fields) {
    if (replaces) all = without(all, name.toLowerCase());
    const value = makeValue(status);
    if (value !== undefined) all.push(name, value);
  }
  return all;
}

function without(lines: string[], lowerCaseName: string): string[] {
  const isGone = lines.some((line, i) => i % 2 === 0 && isNamed(line, lowerCaseName));
  return isGone ? lines.filter((_, i) => !isNamed(lines[i & ~1] as string, lowerCaseName)) : lines;
}
