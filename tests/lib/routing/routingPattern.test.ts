import { describe, expect, it } from '@jest/globals';
import { fits, PatternError, parsePattern } from '../../../lib/routing/pattern.ts';

describe('a pattern', () => {
  it.each([
    ['/', ['/'], ['/x', '//']],
    ['/a', ['/a'], ['/', '/a/', '/A', '/a/b', '/ab', '/%61']],
    ['/a/', ['/a/'], ['/a', '/a//', '/a/b']],
    ['/a/*', ['/a/b', '/a/%2f', '/a/*'], ['/a', '/a/', '/a/b/', '/a/b/c', '/b/b']],
    ['/a/:id', ['/a/b', '/a/:id'], ['/a', '/a/', '/a/b/c']],
    ['/a/:id/c', ['/a/b/c'], ['/a/b', '/a//c', '/a/b/d', '/a/b/c/']],
    ['/a/**', ['/a', '/a/', '/a/b', '/a//b/c'], ['/', '/ab', '/b']],
    ['/**', ['/', '/a', '//'], []],
    ['/*/b', ['/a/b'], ['/b', '//b']],
    ['/caf%C3%A9', ['/caf%C3%A9'], ['/caf%c3%a9']],
  ])('%s fits what it says', (text, fitting, others) => {
    const pattern = parsePattern(text);
    expect([...fitting, ...others].filter((path) => fits(pattern, path))).toEqual(fitting);
  });

  it.each([
    ['a', 'a path that starts with a slash, such as /orders/:id'],
    ['', 'a path that starts with a slash, such as /orders/:id'],
    ['/a//b', 'a path without empty segments and without . and ..'],
    ['//', 'a path without empty segments and without . and ..'],
    ['/a/../b', 'a path without empty segments and without . and ..'],
    ['/a/.', 'a path without empty segments and without . and ..'],
    ['/**/b', '** at the end of the path alone; in the middle * is one segment'],
    ['/a*', '* or ** as a whole segment, not as a part of one'],
    ['/***', '* or ** as a whole segment, not as a part of one'],
    ['/:', 'a name of letters, digits and _ behind the colon, such as :id, for :'],
    ['/:a-b', 'a name of letters, digits and _ behind the colon, such as :id, for :a-b'],
    ['/:a/x/:a', 'another name for one of the two :a'],
    ['/a%2541', 'a path without an encoded percent sign (%25), which some services decode once more'],
    ...['/a?b', '/a#b', '/a b', '/a%', '/a%zz', '/a;b', '/{id}', '/é', '/a\\b'].map((path) => [
      path,
      "a path of segments of letters, digits and ._~!$&'()+,=@:- with everything else percent-encoded, or *, :name, **",
    ]),
  ])('is not %j', (text, expected) => {
    expect(() => parsePattern(text as string)).toThrow(new PatternError(expected));
  });
});
