import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from '@jest/globals';
import { hasContent, isRepeatable } from '../../../lib/http/content.ts';
import { RawClient } from '../../support/clients/rawClient.ts';
import { bareApp } from '../../support/gateway/bareApp.ts';

/** What these functions say of a request that arrives as these bytes. */
async function read(line: string, ...fields: readonly string[]) {
  const seen: { content: boolean; repeatable: boolean }[] = [];
  const look = (req: IncomingMessage) => ({ content: hasContent(req), repeatable: isRepeatable(req) });
  await using app = await bareApp((req, res) => {
    seen.push(look(req));
    res.end();
  });
  using client = await RawClient.to(app.url.origin);
  const body = fields.some((field) => /chunked/i.test(field)) ? '2\r\nok\r\n0\r\n\r\n' : 'ok';
  client.send(`${[`${line} HTTP/1.1`, 'Host: a', ...fields].join('\r\n')}\r\n\r\n${body}`);
  await client.answer(line.slice(0, line.indexOf(' ')));
  return seen[0];
}

describe('the content of a request', () => {
  it.each([
    { fields: [], content: false },
    { fields: ['Content-Length: 0'], content: false },
    { fields: ['Content-Length: 2'], content: true },
    { fields: ['content-LENGTH:2'], content: true },
    { fields: ['Transfer-Encoding: chunked'], content: true },
    { fields: ['TRANSFER-encoding: Chunked'], content: true },
    // Another field whose name is as long.
    { fields: ['X-Content-Lengt: 2', 'X-Transfer-Encodi: chunked'], content: false },
  ])('with $fields is there: $content', async ({ fields, content }) => {
    expect(await read('POST /', ...fields)).toEqual({ content, repeatable: false });
  });
});

describe('a request that may be made twice', () => {
  it.each([
    { line: 'GET /', fields: [], repeatable: true },
    { line: 'HEAD /', fields: [], repeatable: true },
    { line: 'GET /', fields: ['Content-Length: 0'], repeatable: true },
    { line: 'GET /', fields: ['Content-Length: 2'], repeatable: false },
    { line: 'GET /', fields: ['Transfer-Encoding: chunked'], repeatable: false },
    { line: 'HEAD /', fields: ['Content-Length: 2'], repeatable: false },
    { line: 'POST /', fields: [], repeatable: false },
    // Idempotent, but not safe: the service may notice the second one.
    { line: 'PUT /', fields: [], repeatable: false },
    { line: 'DELETE /', fields: [], repeatable: false },
    { line: 'OPTIONS /', fields: [], repeatable: false },
    { line: 'PROPFIND /', fields: [], repeatable: false },
  ])('$line with $fields: $repeatable', async ({ line, fields, repeatable }) => {
    expect((await read(line, ...fields))?.repeatable).toBe(repeatable);
  });
});
