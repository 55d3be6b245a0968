import { chunks, mutate } from './mutate.ts';
import { Random } from './random.ts';

const METHODS = [
  'GET',
  'GET',
  'POST',
  'POST',
  'PUT',
  'HEAD',
  'OPTIONS',
  'DELETE',
  'TRACE',
  'CONNECT',
  'PROPFIND',
  'get',
  '',
];
const TARGETS = [
  '/x',
  '/x',
  '/x?a=b',
  '/%2e%2e/x',
  '//x',
  '/x#y',
  '/..;/x',
  '/\xff',
  '/x y',
  `/${'x'.repeat(9000)}`,
];
const VERSIONS = [
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.1',
  'HTTP/1.0',
  'HTTP/1.2',
  'HTTP/2.0',
  'http/1.1',
  'HTTP/1.1 ',
];

/** What would be a request of its own if somebody read it as one. */
const SMUGGLED = 'GET /internal/up/smuggled HTTP/1.1\r\nHost: h\r\n\r\n';
const CONTENTS = ['', 'hello', SMUGGLED, 'x'.repeat(70_000)];

/** The bytes of one request, more or less. `mount` stands before its path. */
export function fuzzedRequest(seed: number, mount: string, fields: readonly string[]): string {
  const random = new Random(seed);
  const target = random.once(12)
    ? random.pick(['*', `http://h${mount}/x`, `http://e@h${mount}/x`])
    : mount + random.pick(TARGETS);
  const content = random.pick(CONTENTS);
  const chunked = random.once(3);
  const length = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${content.length}`;
  const method = random.pick(METHODS);
  const line = `${method} ${target} ${random.pick(VERSIONS)}`;
  const head = [line, 'Host: h', ...fields, ...(content || random.once(3) ? [length] : [])];
  return (
    mutate(head, random) + (chunked ? chunks(content, random) : content) + (random.once(4) ? SMUGGLED : '')
  );
}

/** Pieces of paths as frameworks read them in more than one way. */
const PIECES = [
  ...['catalog', 'Catalog', 'drafts', 'DRAFTS', '%64rafts', '%2564rafts', 'drafts.', 'drafts%20'],
  ...['greeting', 'admin', 'Admin', '%61dmin', 'files', 'shared', 'SHARED', 'ann', 'reports', 'hosted', 'x'],
  ...[
    '/',
    '/',
    '/',
    '/',
    '//',
    '%2f',
    '%252F',
    ';a=b',
    ';',
    '%3b',
    '%253f',
    '/%252e%252e/',
    '%255c',
    '%00',
    '?x',
  ],
];
const GUARDED_HOSTS = ['h', 'b.a.test', 'B.A.test', 'a.test'];
const GUARDED_METHODS = ['GET', 'GET', 'GET', 'HEAD', 'POST', 'DELETE'];

/** The bytes of one request whose path the routes of `mount` guard, by one of `callers`, which are their fields. */
export function guardedRequest(seed: number, mount: string, callers: readonly string[]): string {
  const random = new Random(seed);
  const pieces = Array.from({ length: 1 + random.below(7) }, () => random.pick(PIECES));
  const caller = random.pick(callers);
  const fields = [
    `Host: ${random.pick(GUARDED_HOSTS)}`,
    'Connection: close',
    'Content-Length: 0',
    ...(caller === '' ? [] : [caller]),
    ...(random.once(10) ? ['X-HTTP-Method-Override: POST'] : []),
  ];
  const line = `${random.pick(GUARDED_METHODS)} ${mount}/${pieces.join('')} HTTP/1.1`;
  return `${[line, ...fields].join('\r\n')}\r\n\r\n`;
}

const STATUSES = [
  '200 OK',
  '200 OK',
  '204 No Content',
  '304 Not Modified',
  '100 Continue',
  '101 Switching Protocols',
  '103 Early Hints',
  '099 Odd',
  '206 Partial Content',
  '500 Oops',
  '999 Much',
  '1000 More',
  '200',
  '200 \xff\x01',
  '401 No',
];

/** The bytes of one answer, more or less. */
export function fuzzedAnswer(seed: number): string {
  const random = new Random(seed);
  const content = random.pick([
    '',
    'hello',
    'x'.repeat(70_000),
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil',
  ]);
  const chunked = random.once(3);
  const length = chunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${content.length}`;
  const head = [`${random.pick(VERSIONS)} ${random.pick(STATUSES)}`, length, 'X-Own: 1'];
  const interim = random.once(8)
    ? mutate(['HTTP/1.1 103 Early Hints', 'Link: </a>; rel=preload'], random)
    : '';
  return interim + mutate(head, random) + (chunked ? chunks(content, random) : content);
}
