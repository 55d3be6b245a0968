import type { Response } from 'express';
import { fieldValues } from '../../http/fields.ts';
import { UpstreamBadResponseError } from '../errors.ts';

/**
 * Begins the client's answer; fields that are set on `res` already stand. Throws `UpstreamBadResponseError`,
 * leaving no trace of the service's fields, when Node refuses to send it.
 */
export function beginAnswer(res: Response, status: number, reason: string, fields: readonly string[]): void {
  const both = besideOwn(res, fields);
  try {
    res.writeHead(status, reason, both as string[]);
  } catch (cause) {
    withdraw(res, both);
    throw new UpstreamBadResponseError(`status ${status} or a field of it cannot be passed on`, { cause });
  }
}

/** The service's fields but for those that `res` has of its own; `Cache-Status` is a list that each cache appends to. */
function besideOwn(res: Response, fields: readonly string[]): readonly string[] {
  if (res.getHeaderNames().length === 0) return fields;
  const both: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    if (!res.hasHeader(name)) both.push(name, fields[i + 1] as string);
  }
  const own = res.getHeader('Cache-Status');
  const before = own === undefined ? [] : fieldValues(fields, 'cache-status');
  if (before.length > 0) both.push('Cache-Status', [...before, own].join(', '));
  return both;
}

/** Takes back what Node kept of a head that it then refused: the next head must not carry it. */
function withdraw(res: Response, fields: readonly string[]): void {
  res.statusMessage = '';
  for (let i = 0; i < fields.length; i += 2) res.removeHeader(fields[i] as string);
}
