import { describe, expect, it } from '@jest/globals';
import { GatheringRoom } from '../../../lib/cache/stored/gatheringRoom.ts';
import { ContentCopy } from '../../../lib/mirror/contentCopy.ts';
import { MirrorRoom } from '../../../lib/mirror/mirrorRoom.ts';

const ROOM_BYTES = 1000;

/** A copy with what has become of it. */
function copyOf({ maxBytes = 500, lengthBytes = undefined as number | undefined, room = ROOM_BYTES } = {}) {
  const held = new GatheringRoom(room);
  const ends: (string | Buffer)[] = [];
  const copy = new ContentCopy({
    ...{ maxBytes, lengthBytes, held },
    onWhole: (content) => ends.push(content),
    onNone: (why) => ends.push(why),
  });
  return { copy, ends, held };
}

/** How much room is left. */
function leftIn(held: GatheringRoom): number {
  let left = 0;
  for (let bytes = ROOM_BYTES; bytes >= 1; bytes = Math.floor(bytes / 2))
    while (held.take(bytes)) left += bytes;
  return left;
}

describe('a copy of content', () => {
  it.each([
    { lengthBytes: undefined, chunks: ['ab', '', 'cde'] },
    { lengthBytes: 5, chunks: ['ab', 'cde'] },
    { lengthBytes: 500, chunks: ['x'.repeat(500)] },
    { lengthBytes: undefined, chunks: Array.from({ length: 500 }, () => 'y') },
    { lengthBytes: undefined, chunks: [] },
    // Shorter than it was said to be, and longer.
    { lengthBytes: 100, chunks: ['z'] },
    { lengthBytes: 1, chunks: ['abc'] },
  ])('is whole, and holds its bytes alone: $lengthBytes', ({ lengthBytes, chunks }) => {
    const { copy, ends, held } = copyOf({ lengthBytes });
    for (const chunk of chunks) copy.content(Buffer.from(chunk));
    expect(ends).toEqual([]);
    copy.end();
    expect(ends.map(String)).toEqual([chunks.join('')]);
    expect(leftIn(held)).toBe(ROOM_BYTES - chunks.join('').length);
    copy.giveUp('abandoned');
    copy.content(Buffer.from('late'));
    expect(ends.length).toBe(1);
  });

  it('is its own: the reader may use its buffer again', () => {
    const { copy, ends } = copyOf();
    const chunk = Buffer.from('abc');
    copy.content(chunk);
    chunk.fill('x');
    copy.end();
    expect(String(ends[0])).toBe('abc');
  });

  it.each([
    { what: { maxBytes: 10 }, why: 'too_large' },
    { what: { maxBytes: 10, lengthBytes: 5 }, why: 'too_large' },
    { what: { room: 10 }, why: 'busy' },
    { what: { maxBytes: 0 }, why: 'too_large' },
  ])('is given up, and holds nothing then: $why for $what', ({ what, why }) => {
    const { copy, ends, held } = copyOf(what);
    for (const chunk of ['12345', '67890', '1', '2']) copy.content(Buffer.from(chunk));
    copy.end();
    expect(ends).toEqual([why]);
    expect(leftIn(held)).toBe('room' in what ? 10 : ROOM_BYTES);
  });

  it('is given up with the request', () => {
    const { copy, ends, held } = copyOf({ lengthBytes: 400 });
    copy.content(Buffer.from('abc'));
    copy.giveUp('abandoned');
    copy.end();
    expect(ends).toEqual(['abandoned']);
    expect(leftIn(held)).toBe(ROOM_BYTES);
  });
});

it('a room lets in as many copies as there are places', () => {
  const room = new MirrorRoom({ maxCopies: 2, held: new GatheringRoom() });
  expect([room.enter(), room.enter(), room.enter()]).toEqual([true, true, false]);
  room.leave();
  expect([room.copies, room.enter(), room.enter()]).toEqual([1, true, false]);
});
