import type { Response } from 'express';
import { UpstreamBadResponseError } from './errors.ts';

/** Begins the client's answer. Throws `UpstreamBadResponseError`, leaving no trace, when Node refuses to send it. */
export function beginAnswer(res: Response, status: number, reason: string, fields: string[]): void {
  try {
    res.writeHead(status, reason, fields);
  } catch (cause) {
    withdraw(res, fields);
    throw new UpstreamBadResponseError(`status ${status} or a field of it cannot be passed on`, { cause });
  }
}

/** Takes back what Node kept of a head that it then refused: the next head must not carry it. */
function withdraw(res: Response, fields: readonly string[]): void {
  res.statusMessage = '';
  for (let i = 0; i < fields.length; i += 2) res.removeHeader(fields[i] as string);
}
