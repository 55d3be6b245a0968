import type { ServerResponse } from 'node:http';

/** What is added to the answer on a response, and what writes its head otherwise. */
const ADDED = Symbol('added fields');

interface Added {
  readonly fields: { readonly name: string; readonly makeValue: () => string }[];
  readonly writeHead: WriteHead;
}

/** The overloads of Node's as one. */
type WriteHead = (this: ServerResponse, status: number, reason?: unknown, fields?: unknown) => ServerResponse;

type Adding = ServerResponse & { [ADDED]: Added };

/**
 * Adds a field to the answer on `res`, whoever writes it; its value is made when its head is. Appended, so that the
 * service may have a word to say, too.
 *
 * `res.setHeader` would do, but one field that is set makes Node copy, check and look up all others of the answer one
 * by one: that costs more than the rest of the head.
 */
export function addAnswerField(
  res: ServerResponse & { [ADDED]?: Added },
  name: string,
  makeValue: () => string,
): void {
  const { [ADDED]: added, writeHead } = res;
  if (added) {
    added.fields.push({ name, makeValue });
    return;
  }
  res[ADDED] = { fields: [{ name, makeValue }], writeHead: writeHead as WriteHead };
  res.writeHead = writeHeadWithFields as typeof writeHead;
}

/** One for all responses: with a function of its own on each, V8 keeps dead requests until it collects everything. */
function writeHeadWithFields(
  this: Adding,
  status: number,
  reason?: unknown,
  given?: unknown,
): ServerResponse {
  const { fields, writeHead } = this[ADDED];
  if (Array.isArray(given)) return writeHead.call(this, status, reason, withAdded(given, fields));
  if (Array.isArray(reason)) return writeHead.call(this, status, withAdded(reason, fields));
  for (const { name, makeValue } of fields) this.appendHeader(name, makeValue());
  return writeHead.call(this, status, reason, given);
}

/** A copy: what was given may be given again, for another answer. */
function withAdded(given: readonly string[], fields: Added['fields']): string[] {
  const all = given.slice();
  for (const { name, makeValue } of fields) all.push(name, makeValue());
  return all;
}
