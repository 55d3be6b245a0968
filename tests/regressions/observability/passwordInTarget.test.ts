import { expect, it } from '@jest/globals';
import { noService } from '../../../gateway/http/target.ts';

// The user of an absolute-form target was written to the access line, password and all; later what stands in its query
// behind an @ was.
it.each([
  ['http://ann:secret@host/x', '/host%2Fx'],
  ['http://ann:secret?@host/x', '/'],
  ['http://ann:sec@ret@host', '/host'],
  ['http://host/x?token=secret', '/http%3A%2F%2Fhost%2Fx'],
  ['http://host/x?mail=ann@host&token=secret', '/'],
  ['http://ann:secret@host/x?mail=ann@host', '/'],
  ['http://host/x#token=secret', '/http%3A%2F%2Fhost%2Fx'],
  ['nonsense', '/nonsense'],
])('%s is logged as %s', (target, path) => {
  expect(noService(target)).toBe(path);
});
