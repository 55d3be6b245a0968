import type { Random } from './random.ts';

/** Bytes that parsers disagree about. */
const ODD = [
  '\r',
  '\n',
  '\r\n',
  '\0',
  '\t',
  ' ',
  '\x0b',
  '\x7f',
  '\xff',
  '\x01',
  ':',
  ',',
  ';',
  '"',
  '\\',
  '%',
  '\r\n\r\n',
  '\r\n ',
];

/** Lines that change where a message ends, whom it is for or how its connection goes on. */
const LINES = [
  'Content-Length: 0',
  'Content-Length: 5',
  'Content-Length: 05',
  'Content-Length: 99999999999999999999',
  'Content-Length : 5',
  'Content-Length:\x0b5',
  'Content_Length: 5',
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: gzip, chunked',
  'Transfer-Encoding: chunked, chunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: identity',
  'Transfer_Encoding: chunked',
  'Connection: close',
  'Connection: keep-alive, X-Request-Id, Host, Content-Length',
  'Connection: upgrade',
  'Upgrade: websocket',
  'Upgrade: h2c',
  'Host: evil',
  'Expect: 100-continue',
  'Trailer: X-T',
  'TE: trailers',
  'Keep-Alive: timeout=0',
  'X-Request-Id: "forged"',
  'X_Request_Id: "forged"',
  'Max-Forwards: 0',
  `X-Long: ${'x'.repeat(9000)}`,
  ': no name',
  'No colon',
  ' folded',
  'Sec-WebSocket-Protocol: bearer, x',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version: 13',
  'Set-Cookie: a=b\x00c',
  'Content-Encoding: gzip',
  'Cache-Control: public, max-age=60',
  'Vary: *',
  'Link: nonsense',
];

type Mutation = (lines: string[], random: Random) => void;

const MUTATIONS: readonly Mutation[] = [
  // A line more, less, twice, or in another place.
  (lines, random) => void lines.splice(1 + random.below(lines.length), 0, random.pick(LINES)),
  (lines, random) => void lines.splice(1 + random.below(lines.length), 0, random.pick(LINES)),
  (lines, random) => void lines.splice(random.below(lines.length), 1),
  (lines, random) => void lines.push(random.pick(lines)),
  // Something odd within a line, a byte changed, or one cut short.
  (lines, random) =>
    change(lines, random, (line, at) => line.slice(0, at) + random.pick(ODD) + line.slice(at)),
  (lines, random) =>
    change(
      lines,
      random,
      (line, at) => line.slice(0, at) + String.fromCharCode(random.below(256)) + line.slice(at + 1),
    ),
  (lines, random) => change(lines, random, (line, at) => line.slice(0, at)),
  (lines, random) =>
    change(lines, random, (line) => (random.once(2) ? line.toUpperCase() : line.toLowerCase())),
];

/** A message's head, changed in a few places; most stay what a careless peer could send. */
export function mutate(head: readonly string[], random: Random): string {
  const lines = [...head];
  for (let n = random.below(4); n > 0 && lines.length > 0; n -= 1) random.pick(MUTATIONS)(lines, random);
  return `${lines.join(random.once(30) ? '\n' : '\r\n')}\r\n\r\n`;
}

/** Content in chunks, as they ought to be or not. */
export function chunks(content: string, random: Random): string {
  const size = random.once(4)
    ? random.pick(['0x5', '-1', 'fffffffffffffffff', '5 ', '', 'g', '00005'])
    : content.length.toString(16);
  const extension = random.once(5) ? random.pick([';a=b', ';', ';a="\r\n"', ';\n', ';a\0']) : '';
  const end = random.once(6)
    ? random.pick(['', '\n', '0\r\n', '0\r\nX-T: 1\r\n\r\n', '0\r\nContent-Length: 5\r\n\r\n'])
    : '0\r\n\r\n';
  return `${size}${extension}\r\n${content}\r\n${end}`;
}

function change(lines: string[], random: Random, how: (line: string, at: number) => string): void {
  const index = random.below(lines.length);
  const line = lines[index] ?? '';
  lines[index] = how(line, random.below(line.length + 1));
}
