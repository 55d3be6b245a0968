import { describe, expect, it } from '@jest/globals';
import { readTrace, traceparentOf, traceStarter } from '../../../lib/tracing/traceContext.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const valid = `00-${TRACE}-${PARENT}-01`;

describe('traceparent', () => {
  it.each([
    { field: valid, flags: 1 },
    { field: `00-${TRACE}-${PARENT}-00`, flags: 0 },
    { field: `00-${TRACE}-${PARENT}-ff`, flags: 3 },
    { field: `cc-${TRACE}-${PARENT}-01`, flags: 1 },
    { field: `cc-${TRACE}-${PARENT}-01-what-the-future-will-be-like`, flags: 1 },
  ])('$field is continued', ({ field, flags }) => {
    expect(readTrace(field, undefined)).toEqual({ traceId: TRACE, parentId: PARENT, flags, state: '' });
  });

  it.each([
    undefined,
    '',
    `${valid}-more`,
    `${valid}, ${valid}`,
    `ff-${TRACE}-${PARENT}-01`,
    `cc-${TRACE}-${PARENT}-01.more`,
    valid.toUpperCase(),
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${PARENT}-1`,
    `00-${TRACE.slice(1)}-${PARENT}-01`,
    `00-${TRACE}-${PARENT}`,
    ` ${valid}`,
  ])('%j cannot be read', (field) => {
    expect(readTrace(field, 'a=b')).toBeUndefined();
  });

  it('is written as it was read', () => {
    const trace = readTrace(valid, undefined);
    expect(trace && traceparentOf(trace)).toBe(valid);
  });

  it('of a trace of its own can be read, is sampled, and is never the same twice', () => {
    const beginTrace = traceStarter();
    const [one, other] = [beginTrace(), beginTrace()];
    expect(readTrace(traceparentOf(one), '')).toEqual(one);
    expect(one.flags & 1).toBe(1);
    expect(one.traceId).not.toBe(other.traceId);
    expect(one.parentId).not.toBe(other.parentId);
  });
});

describe('tracestate', () => {
  it.each([
    'a=b',
    'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE',
    'fw529a3039@dt=FfAAAAA, x=1,,y=2',
    '1a-_*/@z=~!',
  ])('%j is passed on as it came', (state) => expect(readTrace(valid, state)?.state).toBe(state));

  it.each([
    undefined,
    'nonsense',
    'A=b',
    'a=b=c',
    'a=\u0001',
    'a=',
    Array.from({ length: 33 }, (_, i) => `k${i}=v`).join(','),
  ])('%j is left out, and the trace goes on', (state) => {
    expect(readTrace(valid, state)).toMatchObject({ traceId: TRACE, state: '' });
  });
});
