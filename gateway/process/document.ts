// What `npm run docs` writes of the errors: their table in docs/errors.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPLIES } from '../errors/replies/replies.ts';

const PAGE = join(import.meta.dirname, '../../docs/errors.md');
const TABLE = /(?<=<!-- errors -->\n)[\s\S]*?(?=<!-- \/errors -->)/;

/** docs/errors.md with a fresh table of the gateway's own replies between its marks. */
export function errorsDocument(current: string): string {
  const rows = Object.entries(REPLIES)
    .sort(([, a], [, b]) => a.status - b.status)
    .map(([code, { status, title, detail }]) => `| ${status} | \`${code}\` | ${title} | ${detail} |\n`);
  const head = '| Status | `code` | `title`, `error` | `detail` |\n|---|---|---|---|\n';
  return current.replace(TABLE, () => head + rows.join(''));
}

/** Writes it anew. */
export function writeErrors(): void {
  writeFileSync(PAGE, errorsDocument(readFileSync(PAGE, 'utf8')));
}
