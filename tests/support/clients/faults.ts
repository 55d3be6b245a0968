import { type RawBehaviour, resets, says, saysAndCloses, saysAndResets } from '../upstreams/upstream.ts';

/** What a client gets: one of the gateway's own 502s, an answer cut short, or a whole 200. */
export type FaultOutcome = 'upstream_unreachable' | 'upstream_bad_response' | 'cut' | 'whole';

/** What goes wrong, what the service does, and what the client gets. */
export type Fault = readonly [what: string, service: RawBehaviour, outcome: FaultOutcome];

const OK = 'HTTP/1.1 200 OK\r\n';

/** The head of a 200 with these field lines. */
function ok(...fields: readonly string[]): string {
  return `${OK}${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
}

/** A whole answer of two bytes with these field lines in front of its length. */
function whole(...fields: readonly string[]): string {
  return `${ok(...fields, 'Content-Length: 2')}ok`;
}

/** Services that break before their answer has begun. */
const BEFORE_THE_HEAD: readonly Fault[] = [
  ['resets at once', resets, 'upstream_unreachable'],
  ['closes without a word', saysAndCloses(''), 'upstream_unreachable'],
  ['closes within its status line', saysAndCloses('HTTP/1.1 2'), 'upstream_unreachable'],
  ['closes within its fields', saysAndCloses(`${OK}Content-Le`), 'upstream_unreachable'],
  ['resets within its fields', saysAndResets(`${OK}Content-Le`), 'upstream_unreachable'],
];

/** Services whose head is none. */
const BROKEN_HEADS: readonly Fault[] = [
  ['speaks no HTTP', says('EHLO gateway\r\n\r\n'), 'upstream_bad_response'],
  ['speaks HTTP/2', says(Buffer.from('000006040000000000000400000000', 'hex')), 'upstream_bad_response'],
  ['has status 099', says('HTTP/1.1 099 Odd\r\nContent-Length: 2\r\n\r\nok'), 'upstream_bad_response'],
  ['has status 000', says('HTTP/1.1 000 None\r\nContent-Length: 2\r\n\r\nok'), 'upstream_bad_response'],
  ['has status 20', says('HTTP/1.1 20 Short\r\nContent-Length: 2\r\n\r\nok'), 'upstream_bad_response'],
  ['has status 2000', says('HTTP/1.1 2000 Long\r\nContent-Length: 2\r\n\r\nok'), 'upstream_bad_response'],
  [
    'has a control byte in a reason',
    says('HTTP/1.1 200 O\x01K\r\nContent-Length: 2\r\n\r\nok'),
    'upstream_bad_response',
  ],
  [
    'switches protocols unasked',
    says('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhi'),
    'upstream_bad_response',
  ],
  [
    'has a control byte in a field',
    says(`${ok('Set-Cookie: a=b', 'Content-Length: 99', 'X-Odd: a\x01b')}ok`),
    'upstream_bad_response',
  ],
  ['has a NUL in a field', says(whole('X-Odd: a\0b')), 'upstream_bad_response'],
  ['has a bare CR in a field', says(whole('X-Odd: a\rb')), 'upstream_bad_response'],
  ['has a space in a name', says(whole('X Odd: a')), 'upstream_bad_response'],
  ['has a field without a colon', says(whole('Nonsense')), 'upstream_bad_response'],
  ['has two lengths', says(whole('Content-Length: 1')), 'upstream_bad_response'],
  ['has a negative length', says(`${ok('Content-Length: -1')}ok`), 'upstream_bad_response'],
  ['has a length that is no number', says(`${ok('Content-Length: 2x')}ok`), 'upstream_bad_response'],
  [
    'has a length and chunks',
    says(`${ok('Content-Length: 2', 'Transfer-Encoding: chunked')}2\r\nok\r\n0\r\n\r\n`),
    'upstream_bad_response',
  ],
];

/** Services whose content breaks off, or is not what its head says. */
const BROKEN_BODIES: readonly Fault[] = [
  ['resets within a chunk', saysAndResets(`${ok('Transfer-Encoding: chunked')}a\r\nbegun`), 'cut'],
  ['resets between chunks', saysAndResets(`${ok('Transfer-Encoding: chunked')}5\r\nbegun\r\n`), 'cut'],
  ['closes between chunks', saysAndCloses(`${ok('Transfer-Encoding: chunked')}5\r\nbegun\r\n`), 'cut'],
  [
    'closes before its trailers',
    saysAndCloses(`${ok('Transfer-Encoding: chunked')}5\r\nbegun\r\n0\r\n`),
    'cut',
  ],
  ['has a chunk of no size', says(`${ok('Transfer-Encoding: chunked')}5\r\nbegun\r\nxyz\r\n`), 'cut'],
  ['has a chunk that is too long', says(`${ok('Transfer-Encoding: chunked')}2\r\nbegun\r\n0\r\n\r\n`), 'cut'],
  ['resets within its length', saysAndResets(`${ok('Content-Length: 10')}begun`), 'cut'],
  ['closes within its length', saysAndCloses(`${ok('Content-Length: 10')}begun`), 'cut'],
  ['resets an answer without length', saysAndResets(`${ok('Connection: close')}begun`), 'cut'],
  [
    'resets chunks of a connection to close',
    saysAndResets(`${ok('Connection: close', 'Transfer-Encoding: chunked')}5\r\nbegun\r\n`),
    'cut',
  ],
];

/** Services that are odd, and none the worse for it. */
const ODDITIES: readonly Fault[] = [
  ['announces trailers beside a length', says(whole('Trailer: X-Sum')), 'whole'],
  ['says more than its length', says(`${whole()}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`), 'whole'],
  ['ends its answer by closing', saysAndCloses(`${ok('Connection: close')}ok`), 'whole'],
  [
    'closes after an answer that promised to keep alive',
    saysAndCloses(whole('Connection: keep-alive')),
    'whole',
  ],
  ['sends interim answers', says(`${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(20)}${whole()}`), 'whole'],
  [
    'sends early hints of nonsense',
    says(`HTTP/1.1 103 Early Hints\r\nLink: nonsense\r\n\r\n${whole()}`),
    'whole',
  ],
  ['has latin1 in a field', says(whole('X-Name: caf\xe9')), 'whole'],
  [
    'has fields that belong to one connection',
    says(whole('Connection: X-Own', 'X-Own: 1', 'Keep-Alive: timeout=1')),
    'whole',
  ],
];

/** Every fault of a service that shows without time passing. */
export const FAULTS: readonly Fault[] = [...BEFORE_THE_HEAD, ...BROKEN_HEADS, ...BROKEN_BODIES, ...ODDITIES];

/** Takes the request, begins to answer and says no more. */
export const stalls: RawBehaviour = says(`${ok('Content-Length: 10')}begun`);
