import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FrameEnds } from '../../../lib/proxy/upgrade/frameEnds.ts';
import { cases } from '../../support/cases.ts';

/** A frame of `length` bytes of content, masked or not (RFC 6455 section 5.2). */
function frame(length: number, masked: boolean): Buffer {
  const mark = masked ? 0x80 : 0;
  const head =
    length < 126
      ? Buffer.from([0x82, mark | length])
      : length < 2 ** 16
        ? Buffer.from([0x82, mark | 126, length >> 8, length & 0xff])
        : Buffer.from([
            0x82,
            mark | 127,
            0,
            0,
            0,
            0,
            length >>> 24,
            (length >> 16) & 0xff,
            (length >> 8) & 0xff,
            length & 0xff,
          ]);
  return Buffer.concat([head, Buffer.alloc(masked ? 4 : 0, 0xff), Buffer.alloc(length, 0x7f)]);
}

const frames = fc.array(
  fc.record({
    length: fc.oneof(fc.nat(130), fc.constantFrom(0, 125, 126, 65_535, 65_536, 70_000)),
    masked: fc.boolean(),
  }),
  { minLength: 1, maxLength: 6 },
);

describe('FrameEnds', () => {
  it('finds every end, however the bytes are cut', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1 }), (shapes, cuts) => {
        const all = shapes.map(({ length, masked }) => frame(length, masked));
        const bytes = Buffer.concat(all);
        const ends = new FrameEnds();
        const found: number[] = [];
        let at = 0;
        for (let n = 0; at < bytes.length; n += 1) {
          const chunk = bytes.subarray(at, at + (cuts[n % cuts.length] as number));
          for (let read = 0; read < chunk.length; ) {
            read = ends.toEnd(chunk, read);
            if (ends.between) found.push(at + read);
          }
          at += chunk.length;
        }
        let sum = 0;
        expect(found).toEqual(all.map(({ length }) => (sum += length)));
      }),
      cases(200),
    );
  });

  it('is between frames before the first, and not within one', () => {
    const ends = new FrameEnds();
    expect(ends.between).toBe(true);
    ends.pass(frame(3, false).subarray(0, 1));
    expect(ends.between).toBe(false);
    ends.pass(frame(3, false).subarray(1, 4));
    expect(ends.between).toBe(false);
    ends.pass(frame(3, false).subarray(4));
    expect(ends.between).toBe(true);
  });

  it('takes the end of an empty frame for one', () => {
    const ends = new FrameEnds();
    ends.pass(frame(0, false));
    expect(ends.between).toBe(true);
  });
});
