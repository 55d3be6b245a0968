import { afterEach, expect } from '@jest/globals';

const calls: string[] = [];

// Whoever calls it may swallow what it throws: the test fails all the same.
afterEach(() => {
  expect(calls.splice(0)).toEqual([]);
});

/** A callback that fails the test when it is called. */
export function neverCalled(what: string): (...args: readonly unknown[]) => never {
  return (...args) => {
    const call = `${what} must not be called, got ${args.map(String).join(', ')}`;
    calls.push(call);
    throw new Error(call);
  };
}
