import { describe, expect, it } from '@jest/globals';
import { parsePattern } from '../../../lib/routing/pattern.ts';
import { cutPrefix, rewriteTo, withoutPrefix } from '../../../lib/routing/rewrite.ts';

function rewritten(match: string, template: string, path: string): string | undefined {
  return rewriteTo(template, parsePattern(match))(path);
}

describe('a rewrite', () => {
  it.each([
    ['/api/orders/:id', '/orders/:id', '/api/orders/5', '/orders/5'],
    ['/api/:kind/:id', '/:id/of/:kind', '/api/a%20b/5', '/5/of/a%20b'],
    ['/api/:id', '/orders-:id.json', '/api/5', '/orders-5.json'],
    ['/old/**', '/new/**', '/old', '/new'],
    ['/old/**', '/new/**', '/old/', '/new/'],
    ['/old/**', '/new/**', '/old/a//b', '/new/a//b'],
    ['/old/**', '/**', '/old', '/'],
    ['/old/**', '/**', '/old/a', '/a'],
    ['/old/*/x', '/y', '/old/a/x', '/y'],
    ['/:lang/**', '/:lang%3Ax/**', '/en/a', '/en%3Ax/a'],
    ['/**', '/**', '/a/b', '/a/b'],
  ])('of %s to %s makes of %s %s', (match, template, path, expected) => {
    expect(rewritten(match, template, path)).toBe(expected);
  });

  it.each([
    ['/api/orders/:id', '/API/Orders/5', '/orders/5'],
    ['/api/orders/:id', '/api/orders;v=1/5', '/orders/5'],
    ['/api/orders/:id', '/api/orders/5/', '/orders/5'],
    ['/api/orders/:id', '/api/%6frders/5', '/orders/5'],
  ])('takes %s apart in another spelling: %s', (match, path, expected) => {
    expect(rewritten(match, '/orders/:id', path)).toBe(expected);
  });

  it.each([
    ...[
      '5%2Fx',
      '5%252fx',
      '5%5cx',
      '5%EF%BC%8Fx',
      '%252e%252e',
      '%2e',
      '.;x',
      '5%3fx',
      '5%23',
      '%25%32%66',
      ';x',
    ].map((id) => `/api/orders/${id}`),
    '/api//orders/5',
    '/api%2forders/5',
    '/api/orders',
    '/api/orders/5/x',
    '/api/orders/',
  ])('does not guess what is where in %s', (path) => {
    expect(rewritten('/api/orders/:id', '/orders/:id', path)).toBe(undefined);
  });

  it.each([
    ['/a/:id', '/x/:name', 'no :name, since the names in /a/:id are :id'],
    ['/a/*', '/x/:name', 'since the names in /a/* are none'],
    ['/a/:id', '/x/**', 'no ** here, since /a/:id has none'],
    ['/a/**', '/**/x', '* only as /** at the end'],
    ['/a/*', '/x/*', '* only as /** at the end'],
  ])('of %s to %s is refused', (match, template, message) => {
    expect(() => rewriteTo(template, parsePattern(match))).toThrow(message);
  });
});

describe('without a prefix', () => {
  it.each([
    ['/budgeting/a', '/a'],
    ['/budgeting', '/'],
    ['/budgeting/', '/'],
    ['/budgeting//a', '//a'],
    ['/Budgeting/a', '/a'],
    ['/budgeting;v=1/a', '/a'],
    ['/%62udgeting/a', '/a'],
    ['//budgeting/a', undefined],
    ['/budgeting%2fa', undefined],
    ['/', undefined],
  ])('%s is %s', (path, expected) => {
    expect(withoutPrefix('/budgeting')(path)).toBe(expected);
  });
});

it.each([
  ['/api/orders/5', '/orders/5', '/api'],
  ['/budgeting', '/', '/budgeting'],
  ['/budgeting/', '/', '/budgeting'],
  ['/api/orders/5', '/items/5', ''],
])('of %s, become %s, %s was cut', (path, now, expected) => {
  expect(cutPrefix(path, now)).toBe(expected);
});

it.each([
  '/old/%252e%252e/admin',
  '/old/a/%252e%252e%252fb',
  '/old/x%252f..;y%252fz',
  '/old/%EF%BC%8E%EF%BC%8E/x',
])('what stands for the rest has no dot segment to any service: %s', (path) => {
  expect(rewritten('/old/**', '/new/**', path)).toBe(undefined);
});

it('what stands for the rest may have dots, encodings and parameters', () => {
  expect(rewritten('/old/**', '/new/**', '/old/a.b/..c/%C3%A9;v=1/d%2Fe')).toBe(
    '/new/a.b/..c/%C3%A9;v=1/d%2Fe',
  );
});
