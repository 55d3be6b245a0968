import { expect, it } from '@jest/globals';
import { toPublicPaths } from '../../../lib/proxy/response/publicPaths.ts';

const AT = { prefix: '/shop', basePath: '', origin: 'http://shop:8080' };
const BELOW = { ...AT, basePath: '/v1' };

it.each([
  [AT, 'Location', '/a?x#y', '/shop/a?x#y'],
  [AT, 'Location', '/', '/shop/'],
  [AT, 'Location', 'http://shop:8080/a', '/shop/a'],
  [AT, 'Location', 'HTTP://Shop:8080', '/shop/'],
  [AT, 'Location', 'http://shop:80801/a', 'http://shop:80801/a'],
  [AT, 'Location', 'http://shop:8080.evil.example/a', 'http://shop:8080.evil.example/a'],
  [AT, 'Location', 'https://elsewhere.example/a', 'https://elsewhere.example/a'],
  [AT, 'Location', '//elsewhere.example/a', '//elsewhere.example/a'],
  [AT, 'Location', 'a/b', 'a/b'],
  [AT, 'Location', '', ''],
  [AT, 'content-location', '/a', '/shop/a'],
  [AT, 'Set-Cookie', 'a=/x; Path=/; HttpOnly', 'a=/x; Path=/shop/; HttpOnly'],
  [AT, 'Set-Cookie', 'a=b;path=/x;Secure', 'a=b;path=/shop/x;Secure'],
  [AT, 'Set-Cookie', 'a=b', 'a=b'],
  [AT, 'Set-Cookie', '__Host-a=b; Path=/; Secure', '__Host-a=b; Path=/; Secure'],
  [AT, 'X-Path', '/a', '/a'],
  [BELOW, 'Location', '/v1/a', '/shop/a'],
  [BELOW, 'Location', '/v1', '/shop'],
  [BELOW, 'Location', '/v12/a', '/v12/a'],
  [BELOW, 'Location', '/a', '/a'],
  [{ ...BELOW, prefix: '' }, 'Location', '/v1', '/'],
  [{ ...AT, prefix: '' }, 'Location', '/a', '/a'],
])('%j: %s: %s is %s for clients', (mapping, name, value, expected) => {
  const fields = ['X', 'y', name, value];
  toPublicPaths(fields, mapping);
  expect(fields).toEqual(['X', 'y', name, expected]);
});
