import type { ServerResponse } from 'node:http';
import { type FieldLines, fieldValues } from '../http/fields.ts';

/** Whether any field is set on `res`, so that Node merges a head into those. */
export function hasSetFields(res: ServerResponse): boolean {
  return res.getHeaderNames().length > 0;
}

/** The service's fields without those that are set on `res`; `Cache-Status` is a list that each cache appends to. */
export function besideSet(res: ServerResponse, lines: FieldLines): string[] {
  const beside: string[] = [];
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i] as string;
    if (!res.hasHeader(name)) beside.push(name, lines[i + 1] as string);
  }
  const own = res.getHeader('Cache-Status');
  const before = own === undefined ? [] : fieldValues(lines, 'cache-status');
  if (before.length > 0) beside.push('Cache-Status', [...before, own].join(', '));
  return beside;
}

/** Sets `lines` in place of what is set under their names, as Node does with the fields of a head. */
export function mergeIntoSet(res: ServerResponse, lines: FieldLines): void {
  for (let i = 0; i < lines.length; i += 2) res.removeHeader(lines[i] as string);
  for (let i = 0; i < lines.length; i += 2) res.appendHeader(lines[i] as string, lines[i + 1] as string);
}

/** Sets `lines` in place of everything that is set. */
export function setInstead(res: ServerResponse, lines: FieldLines): void {
  for (const name of res.getHeaderNames()) res.removeHeader(name);
  for (let i = 0; i < lines.length; i += 2) res.appendHeader(lines[i] as string, lines[i + 1] as string);
}

/** Takes back what Node has kept of a head that it then refused: the next head must not carry it. */
export function withdraw(res: ServerResponse, lines: FieldLines): void {
  res.statusMessage = '';
  for (let i = 0; i < lines.length; i += 2) res.removeHeader(lines[i] as string);
}
