import type { ResponseToRead } from './responsesRead.ts';

/** What comes, and what is told of it by `readInPieces`. */
export type ResponseCase = readonly [what: string, answer: ResponseToRead | string, told: string];

const OK = 'HTTP/1.1 200 OK\r\n';

function ok(...fields: readonly string[]): string {
  return `${OK}${fields.map((field) => `${field}\r\n`).join('')}\r\n`;
}

/** Two bytes of content behind these fields. */
const whole = (...fields: readonly string[]) => `${ok(...fields, 'Content-Length: 2')}ok`;
const chunked = (chunks: string, ...fields: readonly string[]) =>
  ok(...fields, 'Transfer-Encoding: chunked') + chunks;
const status = (line: string) => `${line}\r\nContent-Length: 2\r\n\r\nok`;
const to = (method: string, bytes: string): ResponseToRead => ({ method, bytes });
const closed = (bytes: string): ResponseToRead => ({ bytes, closed: true });

const GOOD: readonly ResponseCase[] = [
  ['a length', whole(), '200 OK keep; "ok"; end'],
  ['a length of 0', ok('Content-Length: 0'), '200 OK keep; end'],
  ['a length with leading zeros', `${ok('Content-Length: 0002')}ok`, '200 OK keep; "ok"; end'],
  ['a length in blanks', `${ok('Content-Length: \t 2 \t')}ok`, '200 OK keep; "ok"; end'],
  ['names in any case', `${ok('cOnTeNt-LeNgTh: 2')}ok`, '200 OK keep; "ok"; end'],
  ['chunks', chunked('2\r\nok\r\n0\r\n\r\n'), '200 OK keep; "ok"; end'],
  ['several chunks', chunked('1\r\no\r\n1\r\nk\r\n0\r\n\r\n'), '200 OK keep; "ok"; end'],
  ['chunks of nothing', chunked('0\r\n\r\n'), '200 OK keep; end'],
  [
    'a size in capital hexadecimal',
    chunked(`A\r\n${'x'.repeat(10)}\r\n0\r\n\r\n`),
    '200 OK keep; "xxxxxxxxxx"; end',
  ],
  ['a size with leading zeros', chunked('0002\r\nok\r\n000\r\n\r\n'), '200 OK keep; "ok"; end'],
  ['chunks of CRLF', chunked('4\r\n\r\n\r\n\r\n0\r\n\r\n'), '200 OK keep; "\\r\\n\\r\\n"; end'],
  ['an extension', chunked('2;a\r\nok\r\n0\r\n\r\n'), '200 OK keep; "ok"; end'],
  ['an extension with a value', chunked('2;a="b; c"\r\nok\r\n0;z=1\r\n\r\n'), '200 OK keep; "ok"; end'],
  [
    'the coding in any case',
    `${ok('Transfer-Encoding: Chunked')}2\r\nok\r\n0\r\n\r\n`,
    '200 OK keep; "ok"; end',
  ],
  ['a trailer', chunked('2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n'), '200 OK keep; "ok"; end [X-Sum=1]'],
  ['trailers', chunked('0\r\nA: 1\r\na: 2\r\n\r\n'), '200 OK keep; end [A=1, a=2]'],
  ['the close', closed(`${ok()}to the end`), '200 OK close; "to the end"; end'],
  ['the close, and no content', closed(ok()), '200 OK close; end'],
  ['Connection: close', whole('Connection: close'), '200 OK close; "ok"; end'],
  ['Connection: Close among others', whole('Connection: x-a , Close'), '200 OK close; "ok"; end'],
  ['Connection in two lines', whole('Connection: x-a', 'Connection: close'), '200 OK close; "ok"; end'],
  ['Connection: keep-alive', whole('Connection: Keep-Alive'), '200 OK keep; "ok"; end'],
  ['an option that only resembles close', whole('Connection: closed'), '200 OK keep; "ok"; end'],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', '200 OK close; "ok"; end'],
  [
    'HTTP/1.0 that keeps alive',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok',
    '200 OK keep; "ok"; end',
  ],
  [
    'HTTP/1.0 that keeps alive among others',
    'HTTP/1.0 200 OK\r\nConnection: a, keep-alive\r\nContent-Length: 2\r\n\r\nok',
    '200 OK keep; "ok"; end',
  ],
  ['HTTP/1.0 until the close', closed('HTTP/1.0 200 OK\r\n\r\nall'), '200 OK close; "all"; end'],
  ['no reason', status('HTTP/1.1 200 '), '200 keep; "ok"; end'],
  ['no reason and no blank', status('HTTP/1.1 200'), '200 keep; "ok"; end'],
  [
    'a long reason',
    status('HTTP/1.1 404 Not found, nor ever was'),
    '404 Not found, nor ever was keep; "ok"; end',
  ],
  ['a reason in latin1', status('HTTP/1.1 200 Tr\xe8s bien'), '200 Tr\xe8s bien keep; "ok"; end'],
  ['a reason with a tab', status('HTTP/1.1 200 O\tK'), '200 O\tK keep; "ok"; end'],
  ['a status nobody knows', status('HTTP/1.1 299 Odd'), '299 Odd keep; "ok"; end'],
  ['a status of no class', status('HTTP/1.1 999 Odd'), '999 Odd keep; "ok"; end'],
  ['fields', whole('X-A: b', 'x-a: c'), '200 OK keep [X-A=b, x-a=c]; "ok"; end'],
  ['an empty value', whole('X-A:'), '200 OK keep [X-A=]; "ok"; end'],
  ['a value of blanks', whole('X-A: \t '), '200 OK keep [X-A=]; "ok"; end'],
  ['no blank before the value', whole('X-A:b'), '200 OK keep [X-A=b]; "ok"; end'],
  ['blanks around the value', whole('X-A: \tb c\t '), '200 OK keep [X-A=b c]; "ok"; end'],
  ['a colon in the value', whole('X-A: b: c'), '200 OK keep [X-A=b: c]; "ok"; end'],
  [
    'every kind of token',
    whole("!#$%&'*+-.^_`|~09azAZ: b"),
    '200 OK keep [!#$%&\'*+-.^_`|~09azAZ=b]; "ok"; end',
  ],
  ['latin1 in a value', whole('X-A: caf\xe9\xff\x80'), '200 OK keep [X-A=caf\xe9\xff\x80]; "ok"; end'],
  [
    'cookies',
    whole('Set-Cookie: a=1', 'Set-Cookie: b=2'),
    '200 OK keep [Set-Cookie=a=1, Set-Cookie=b=2]; "ok"; end',
  ],
];

const WITHOUT_CONTENT: readonly ResponseCase[] = [
  ['to HEAD, a length', to('HEAD', ok('Content-Length: 2')), '200 OK close; end'],
  ['to HEAD, chunks', to('HEAD', ok('Transfer-Encoding: chunked')), '200 OK close; end'],
  ['to HEAD, neither', to('HEAD', ok()), '200 OK close; end'],
  ['to HEAD, content nevertheless', to('HEAD', whole()), '200 OK close; end; rest "ok"'],
  ['204', 'HTTP/1.1 204 No Content\r\n\r\n', '204 No Content keep; end'],
  ['204 with a length', 'HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok', '204 No close; end; rest "ok"'],
  ['204 with a length of 0', 'HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n', '204 No keep; end'],
  ['204 with chunks', 'HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n', '204 No close; end'],
  ['304', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', '304 Not Modified keep [ETag="a"]; end'],
  ['304 with a length', 'HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n', '304 Not close; end'],
  ['205 with content', status('HTTP/1.1 205 Reset'), '205 Reset keep; "ok"; end'],
];

const INTERIM: readonly ResponseCase[] = [
  ['102', `HTTP/1.1 102 Processing\r\n\r\n${whole()}`, '102 Processing; 200 OK keep; "ok"; end'],
  [
    '103 with fields',
    `HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n${whole()}`,
    '103 Hints [Link=</a>]; 200 OK keep; "ok"; end',
  ],
  [
    '103 with a length',
    `HTTP/1.1 103 Hints\r\nContent-Length: 9\r\n\r\n${whole()}`,
    '103 Hints; 200 OK keep; "ok"; end',
  ],
  ['one nobody knows', `HTTP/1.1 150 Odd\r\n\r\n${whole()}`, '150 Odd; 200 OK keep; "ok"; end'],
  ['100', `HTTP/1.1 100 Continue\r\n\r\n${whole()}`, '100 Continue; 200 OK keep; "ok"; end'],
  ['101', 'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n', 'unexpected_response'],
  ['to HEAD', to('HEAD', `HTTP/1.1 103 H\r\n\r\n${ok()}`), '103 H; 200 OK close; end'],
  ['no final one', closed('HTTP/1.1 103 H\r\n\r\n'), '103 H; lost'],
  ['nothing else yet', 'HTTP/1.1 103 H\r\n\r\n', '103 H; waits'],
  [
    '103 that closes',
    `HTTP/1.1 103 H\r\nConnection: close\r\n\r\n${whole()}`,
    '103 H; 200 OK keep; "ok"; end',
  ],
];

const UNFINISHED: readonly ResponseCase[] = [
  ['nothing', '', 'waits'],
  ['nothing, and a close', closed(''), 'lost'],
  ['part of a status line', 'HTTP/1.1 2', 'waits'],
  ['part of a status line, and a close', closed('HTTP/1.1 2'), 'lost'],
  ['part of the fields, and a close', closed(`${OK}Content-Le`), 'lost'],
  ['all fields, and a close', closed(`${OK}Content-Length: 0\r\n`), 'lost'],
  ['part of its length', `${ok('Content-Length: 9')}begun`, '200 OK keep; "begun"; waits'],
  [
    'part of its length, and a close',
    closed(`${ok('Content-Length: 9')}begun`),
    '200 OK keep; "begun"; cut_short',
  ],
  ['nothing of its length, and a close', closed(ok('Content-Length: 9')), '200 OK keep; cut_short'],
  ['part of a size, and a close', closed(chunked('2')), '200 OK keep; cut_short'],
  ['part of a chunk, and a close', closed(chunked('9\r\nbegun')), '200 OK keep; "begun"; cut_short'],
  ['a chunk, and a close', closed(chunked('5\r\nbegun')), '200 OK keep; "begun"; cut_short'],
  ['a chunk with its end, and a close', closed(chunked('5\r\nbegun\r\n')), '200 OK keep; "begun"; cut_short'],
  ['no end of trailers, and a close', closed(chunked('0\r\n')), '200 OK keep; cut_short'],
  ['part of the trailers, and a close', closed(chunked('0\r\nA: b\r\n')), '200 OK keep; cut_short'],
  ['no close', ok(), '200 OK close; waits'],
];

const BROKEN_STATUS_LINES: readonly ResponseCase[] = [
  ['another protocol', 'EHLO gateway\r\n\r\n', 'bad_status_line'],
  ['another protocol, no line', 'SSH-2.0', 'bad_status_line'],
  ['HTTP/2', '\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64', 'bad_status_line'],
  ['an HTTP/0.9 answer', closed('<html>hello</html>'), 'bad_status_line'],
  ['HTTP/1.2', status('HTTP/1.2 200 OK'), 'bad_status_line'],
  ['HTTP/2.0', status('HTTP/2.0 200 OK'), 'bad_status_line'],
  ['HTTP/1.10', status('HTTP/1.10 200 OK'), 'bad_status_line'],
  ['HTTP in small letters', status('http/1.1 200 OK'), 'bad_status_line'],
  ['an empty line first', `\r\n${whole()}`, 'bad_status_line'],
  ['a blank first', ` ${whole()}`, 'bad_status_line'],
  ['two blanks', status('HTTP/1.1  200 OK'), 'bad_status_line'],
  ['a tab for a blank', status('HTTP/1.1\t200 OK'), 'bad_status_line'],
  ['status 099', status('HTTP/1.1 099 Odd'), 'bad_status_line'],
  ['status 000', status('HTTP/1.1 000 Odd'), 'bad_status_line'],
  ['status 20', status('HTTP/1.1 20 Odd'), 'bad_status_line'],
  ['status 2000', status('HTTP/1.1 2000 Odd'), 'bad_status_line'],
  ['status -20', status('HTTP/1.1 -20 Odd'), 'bad_status_line'],
  ['status 2e2', status('HTTP/1.1 2e2 Odd'), 'bad_status_line'],
  ['no status', status('HTTP/1.1 OK'), 'bad_status_line'],
  ['a bare version', 'HTTP/1.1\r\n\r\n', 'bad_status_line'],
  ['a tab before the reason', status('HTTP/1.1 200\tOK'), 'bad_status_line'],
  ['a control character in the reason', status('HTTP/1.1 200 O\x01K'), 'bad_field'],
  ['a NUL in the reason', status('HTTP/1.1 200 O\0K'), 'bad_field'],
  ['a bare CR in the reason', status('HTTP/1.1 200 O\rK'), 'bad_field'],
];

const BROKEN_FIELDS: readonly ResponseCase[] = [
  ['no colon', whole('Nonsense'), 'bad_field'],
  ['no name', whole(': b'), 'bad_field'],
  ['a blank before the colon', whole('X-A : b'), 'bad_field'],
  ['a tab before the colon', whole('X-A\t: b'), 'bad_field'],
  ['a blank in a name', whole('X A: b'), 'bad_field'],
  ['a separator in a name', whole('X(A): b'), 'bad_field'],
  ['latin1 in a name', whole('X-\xe9: b'), 'bad_field'],
  ['a NUL in a name', whole('X\0A: b'), 'bad_field'],
  ['a folded line', whole('X-A: b', ' c'), 'bad_field'],
  ['a folded line with a tab', whole('X-A: b', '\tc'), 'bad_field'],
  ['a blank before the first name', whole(' X-A: b'), 'bad_field'],
  ['a NUL in a value', whole('X-A: b\0c'), 'bad_field'],
  ['a control character in a value', whole('X-A: b\x01c'), 'bad_field'],
  ['a vertical tab in a value', whole('X-A: b\x0bc'), 'bad_field'],
  ['DEL in a value', whole('X-A: b\x7fc'), 'bad_field'],
  ['a bare CR in a value', whole('X-A: b\rc'), 'bad_field'],
  ['a bare LF in a value', whole('X-A: b\nX-B: c'), 'bad_field'],
  ['two CRs', whole('X-A: b\r'), 'bad_field'],
  ['bare LFs all over', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok', 'bad_field'],
  ['an LF for the empty line', `${OK}Content-Length: 2\r\n\nok`, 'bad_field'],
  ['too long a field', whole(`X-Long: ${'x'.repeat(64 * 1024)}`), 'head_too_large'],
  ['too many fields', whole(...Array.from({ length: 1001 }, (_, n) => `X-${n}: 1`)), 'head_too_large'],
  ['a field without end', `${OK}X-Long: ${'x'.repeat(80_000)}`, 'head_too_large'],
];

const BROKEN_FRAMING: readonly ResponseCase[] = [
  ['two lengths', whole('Content-Length: 1'), 'bad_framing'],
  ['the same length twice', whole('Content-Length: 2'), 'bad_framing'],
  ['two lengths in one', `${ok('Content-Length: 2, 2')}ok`, 'bad_framing'],
  ['a negative length', `${ok('Content-Length: -1')}ok`, 'bad_framing'],
  ['a length with a plus', `${ok('Content-Length: +2')}ok`, 'bad_framing'],
  ['a length in hexadecimal', `${ok('Content-Length: 0x2')}ok`, 'bad_framing'],
  ['a length with a fraction', `${ok('Content-Length: 2.0')}ok`, 'bad_framing'],
  ['a length with a blank in it', `${ok('Content-Length: 2 2')}ok`, 'bad_framing'],
  ['a length with a unit', `${ok('Content-Length: 2x')}ok`, 'bad_framing'],
  ['an empty length', `${ok('Content-Length: ')}ok`, 'bad_framing'],
  ['a length beyond all measure', `${ok('Content-Length: 18446744073709551618')}ok`, 'bad_framing'],
  ['a broken length to HEAD', to('HEAD', ok('Content-Length: x')), 'bad_framing'],
  ['a length and chunks', chunked('2\r\nok\r\n0\r\n\r\n', 'Content-Length: 2'), 'bad_framing'],
  ['chunks and a length', ok('Transfer-Encoding: chunked', 'Content-Length: 2'), 'bad_framing'],
  ['another coding', ok('Transfer-Encoding: gzip'), 'bad_framing'],
  ['another coding before chunked', ok('Transfer-Encoding: gzip, chunked'), 'bad_framing'],
  ['another coding behind chunked', ok('Transfer-Encoding: chunked, gzip'), 'bad_framing'],
  ['chunked twice', ok('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 'bad_framing'],
  ['chunked twice in one', ok('Transfer-Encoding: chunked, chunked'), 'bad_framing'],
  ['a coding like chunked', ok('Transfer-Encoding: xchunked'), 'bad_framing'],
  ['chunked with a parameter', ok('Transfer-Encoding: chunked;a=b'), 'bad_framing'],
  ['an empty coding', ok('Transfer-Encoding: '), 'bad_framing'],
  [
    'chunks before HTTP/1.1',
    'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    '200 OK close; "ok"; end',
  ],
];

const BROKEN_CHUNKS: readonly ResponseCase[] = [
  ['a size that is none', chunked('xyz\r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['no size', chunked('\r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['an extension and no size', chunked(';a\r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['a negative size', chunked('-2\r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['a size with a plus', chunked('+2\r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['a size in 0x', chunked('0x2\r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['a blank before a size', chunked(' 2\r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['a blank behind a size', chunked('2 \r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['a size beyond all measure', chunked('10000000000000000\r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['a size and a bare LF', chunked('2\nok\r\n'), '200 OK keep; bad_chunk'],
  ['a size and a bare CR', chunked('2\rok\r\n'), '200 OK keep; bad_chunk'],
  ['an extension with a bare LF', chunked('2;a\nb\r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['an extension in latin1', chunked('2;a=\xe9\r\nok\r\n0\r\n\r\n'), '200 OK keep; bad_chunk'],
  ['an extension with a NUL', chunked('2;a\0\r\nok\r\n'), '200 OK keep; bad_chunk'],
  ['an extension without end', chunked(`2;${'a'.repeat(5000)}`), '200 OK keep; bad_chunk'],
  ['a chunk that is too long', chunked('2\r\nokay\r\n0\r\n\r\n'), '200 OK keep; "ok"; bad_chunk'],
  ['a chunk that is too short', chunked('4\r\nok\r\n0\r\n\r\n'), '200 OK keep; "ok\\r\\n"; bad_chunk'],
  ['a chunk that ends in a bare LF', chunked('2\r\nok\n0\r\n\r\n'), '200 OK keep; "ok"; bad_chunk'],
  ['a chunk that ends in a bare CR', chunked('2\r\nok\r0\r\n\r\n'), '200 OK keep; "ok"; bad_chunk'],
  ['a second size that is none', chunked('2\r\nok\r\nzz\r\n'), '200 OK keep; "ok"; bad_chunk'],
  ['a trailer that is none', chunked('0\r\nnonsense\r\n\r\n'), '200 OK keep; bad_field'],
  ['a folded trailer', chunked('0\r\nA: b\r\n c\r\n\r\n'), '200 OK keep; bad_field'],
  ['a trailer with a bare LF', chunked('0\r\nA: b\nB: c\r\n\r\n'), '200 OK keep; bad_field'],
  ['too long a trailer', chunked(`0\r\nA: ${'x'.repeat(65_536)}\r\n\r\n`), '200 OK keep; head_too_large'],
  ['trailers without end', chunked(`0\r\nA: ${'x'.repeat(80_000)}`), '200 OK keep; head_too_large'],
];

const BEHIND: readonly ResponseCase[] = [
  ['a length, more', `${whole()}!`, '200 OK keep; "ok"; end; rest "!"'],
  ['a length, a second answer', whole() + ok(), `200 OK keep; "ok"; end; rest ${JSON.stringify(ok())}`],
  ['chunks, more', chunked('0\r\n\r\nmore'), '200 OK keep; end; rest "more"'],
  ['chunks, an empty line', chunked('0\r\n\r\n\r\n'), '200 OK keep; end; rest "\\r\\n"'],
  ['trailers, more', chunked('0\r\nA: b\r\n\r\nmore'), '200 OK keep; end [A=b]; rest "more"'],
  ['204, content', 'HTTP/1.1 204 No\r\n\r\nok', '204 No keep; end; rest "ok"'],
];

/** Answers by what is the matter with them. */
export const RESPONSES: Readonly<Record<string, readonly ResponseCase[]>> = {
  'a good answer': GOOD,
  'an answer without content': WITHOUT_CONTENT,
  'an interim answer': INTERIM,
  'an answer that is not over': UNFINISHED,
  'a broken status line': BROKEN_STATUS_LINES,
  'a broken field': BROKEN_FIELDS,
  'doubtful framing': BROKEN_FRAMING,
  'broken chunks': BROKEN_CHUNKS,
  'bytes behind the end': BEHIND,
};
