import { expect, it } from '@jest/globals';
import { stackless } from '../../../lib/util/stackless.ts';

it('makes an error without frames and leaves those of other errors alone', () => {
  const refusal = stackless(() => new RangeError('too many'));
  expect(refusal).toMatchObject({ name: 'RangeError', message: 'too many' });
  expect(refusal.stack).toBe('RangeError: too many');
  expect(new Error('later').stack).toContain('exchangeStackless.test.ts');
});

it('leaves the stacks of other errors alone when making one fails', () => {
  const fails = () => {
    throw new TypeError('not made');
  };
  expect(() => stackless(fails)).toThrow('not made');
  expect(new Error('later').stack).toContain('exchangeStackless.test.ts');
});
