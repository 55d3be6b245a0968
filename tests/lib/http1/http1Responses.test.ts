import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ResponseReader } from '../../../lib/http1/reading/responseReader.ts';
import { cases } from '../../support/cases.ts';
import { cutAt, oneByOne, type ResponseToRead, readInPieces } from '../../support/clients/responsesRead.ts';
import { RESPONSES } from '../../support/clients/responsesTable.ts';

/** Longer ones are not cut at every position. */
const SHORT_BYTES = 400;

const CASES = Object.values(RESPONSES).flat();

function given(answer: ResponseToRead | string): ResponseToRead & { readonly pieces: Buffer } {
  const all = typeof answer === 'string' ? { bytes: answer } : answer;
  return { ...all, pieces: Buffer.from(all.bytes, 'latin1') };
}

it('there are many of them', () => {
  expect(CASES.length).toBeGreaterThan(180);
});

describe.each(Object.entries(RESPONSES))('%s', (_kind, cases) => {
  it.each(cases)('%s', (_what, answer, told) => {
    const { pieces: bytes, ...options } = given(answer);
    expect(readInPieces([bytes], options)).toBe(told);
    expect(readInPieces(oneByOne(bytes), options)).toBe(told);
    if (bytes.length > SHORT_BYTES) return;
    for (let at = 1; at < bytes.length; at += 1) {
      expect([at, readInPieces(cutAt(bytes, [at]), options)]).toEqual([at, told]);
    }
  });
});

describe('ResponseReader', () => {
  it('tells the same however a response is cut', () => {
    const anyCase = fc.constantFrom(...CASES);
    const anyCuts = fc.array(fc.nat(), { maxLength: 12 });
    fc.assert(
      fc.property(anyCase, anyCuts, ([, answer, told], cuts) => {
        const { pieces: bytes, ...options } = given(answer);
        const offsets = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
        return readInPieces(cutAt(bytes, offsets), options) === told;
      }),
      cases(3_000),
    );
  });

  it('tells the same of arbitrary bytes however they are cut, and throws nothing of its own', () => {
    const marks = [
      'HTTP/1.1 200 OK\r\n',
      'Content-Length: 3\r\n',
      'Transfer-Encoding: chunked\r\n',
      '\r\n',
      '3\r\n',
      '0\r\n',
    ];
    const anyPart = fc.oneof(
      fc.constantFrom(...marks, 'A: b\r\n', ':', '\n', 'xyz'),
      fc.string({ maxLength: 4 }),
    );
    const anyBytes = fc
      .array(anyPart, { maxLength: 10 })
      .map((parts) => Buffer.from(parts.join(''), 'latin1'));
    fc.assert(
      fc.property(anyBytes, fc.array(fc.nat(), { maxLength: 6 }), fc.boolean(), (bytes, cuts, closed) => {
        const offsets = cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b);
        const told = readInPieces(cutAt(bytes, offsets), { closed });
        // Which of several faults is seen first may depend on the pieces. Never whether there is one.
        const plain = (text: string) => text.replace(/bad_\w+/g, 'broken');
        expect(plain(told)).toBe(plain(readInPieces(oneByOne(bytes), { closed })));
      }),
      cases(3_000),
    );
  });

  it('puts up with many interim responses and not with any number', () => {
    const hint = 'HTTP/1.1 102 P\r\n\r\n';
    const end = 'HTTP/1.1 204 No\r\n\r\n';
    expect(readInPieces([Buffer.from(hint.repeat(100) + end)], {})).toMatch(/204 No keep; end$/);
    expect(readInPieces([Buffer.from(hint.repeat(101) + end)], {})).toMatch(/102 P; unexpected_response$/);
  });

  it('takes heads below 64 KiB', () => {
    const head = (bytes: number) => `HTTP/1.1 204 No\r\nX: ${'x'.repeat(bytes - 1)}\r\n\r\n`;
    expect(readInPieces([Buffer.from(head(64 * 1024 - 1))], {})).toMatch(/end$/);
    expect(readInPieces([Buffer.from(head(64 * 1024))], {})).toBe('head_too_large');
  });

  it('tells small chunks that come together as one, also before what is refused', () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    const told: string[] = [];
    const reader = new ResponseReader({
      onHead: () => {},
      onContent: (chunk) => told.push(chunk.toString('latin1')),
      onEnd: () => told.push('end'),
    });
    reader.expect('GET');
    const large = 'L'.repeat(5_000);
    reader.read(Buffer.from(`${head}1\r\na\r\n1\r\nb\r\n1388\r\n${large}\r\n1\r\nc\r\n1\r\nd`));
    expect(told).toEqual(['ab', large, 'cd']);
    expect(() => reader.read(Buffer.from('\r\n1\r\ne\r\n1\r\nf\r\nzz\r\n'))).toThrow('a chunk is broken');
    expect(told.slice(3)).toEqual(['ef']);
  });
});
