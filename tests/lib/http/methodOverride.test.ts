import { describe, expect, it } from '@jest/globals';
import { overridesMethod } from '../../../lib/http/methodOverride.ts';
import { mayChange } from '../../../lib/http/safeMethods.ts';

function methodsOf(target: string, headers: Record<string, string> = {}): string[] {
  const methods = new Set<string>();
  overridesMethod({ headers }, target, (method) => {
    methods.add(method);
    return false;
  });
  return [...methods];
}

describe('a parameter names another method however a framework spells it:', () => {
  it.each([
    '/x?_method=DELETE',
    '/x?a=b&_method=DELETE',
    '/x?a=b;_method=DELETE',
    '/x?a=%3B_method=DELETE',
    '/x?a=b%26_method=DELETE',
    '/x?_METHOD=delete',
    '/x?_Method=Delete',
    '/x?%5fmethod=DELETE',
    '/x?%5Fm%65thod=DELETE',
    '/x?%255fmethod=DELETE',
    '/x?_%25%36%64ethod=DELETE',
    '/x?_method=%44ELETE',
    '/x?_method=%2544ELETE',
    '/x?_method=%u0044ELETE',
    '/x?_method%3DDELETE',
    '/x?_method=DELETE%20',
    '/x?_method=+DELETE+',
    '/x?_method=%09DELETE%0d%0a',
    '/x?_method=DELETE%00x',
    '/x?_method=DE%00LETE',
    '/x?_method=DELETE;a=b',
    '/x?_method=DELETE,x',
    '/x?_method=%22DELETE%22',
    '/x?_method=GET&_method=DELETE',
    '/x?+_method=DELETE',
    '/x?%20%20_method=DELETE',
    '/x?_method+=DELETE',
    '/x?.method=DELETE',
    '/x?+.method=DELETE',
    '/x?%2emethod=DELETE',
    '/x?[method=DELETE',
    '/x?_method[]=DELETE',
    '/x?_method%5B%5D=DELETE',
    '/x?_method[0]=DELETE',
    '/x?[_method]=DELETE',
    '/x?]_method=DELETE',
    '/x?_method.0=DELETE',
    '/x?_method%00x=DELETE',
    '/x?_method%00;x=DELETE',
    '/x?_method%00%26x=DELETE',
    '/x?_meth%ffod=DELETE',
    '/x?_m%ethod=DELETE',
    '/x?%C1%9Fmethod=DELETE',
    '/x??_method=DELETE',
    '/x?a?_method=DELETE',
    '/x;_method=DELETE',
    '/x%3f_method=DELETE',
    '/x%253F_method=DELETE',
    '/x%20y?_method=DELETE',
  ])('%s', (target) => {
    expect(methodsOf(target)).toContain('DELETE');
    expect(mayChange({ method: 'GET', headers: {} }, target)).toBe(true);
  });

  it.each([
    ['/x?_method=po%C5%BFt', 'POST'],
    ['/x?_method=po%EF%AC%86', 'POST'],
    ['/x?_method=lin%E2%84%AA', 'LINK'],
  ])('%s, whose letters become others in upper case', (target, method) => {
    expect(methodsOf(target)).toEqual([method]);
  });
});

it.each([
  '/x',
  '/_method=DELETE',
  '/method/DELETE?a=b',
  '/x;/method?a=DELETE',
  '/x?my_method=DELETE',
  '/x?method=DELETE',
  '/x?payment_method=card%20now',
  '/x?a_method=DELETE&b.method=DELETE',
  '/x?filter[_method]=DELETE',
  '/x?_methods=DELETE',
  '/x?_method_name=DELETE',
  '/x?__method=DELETE',
  '/x?_method-x=DELETE',
  '/x?a=_method',
  '/x?a=%20_method%3DDELETE',
  '/x?q=caf%C3%A9&Method=x',
])('%s names none', (target) => {
  expect(methodsOf(target)).toEqual([]);
  expect(mayChange({ method: 'GET', headers: {} }, target)).toBe(false);
});

describe.each(['x-http-method-override', 'x-http-method', 'x-method-override'])('%s', (name) => {
  it.each([
    ['DELETE', ['DELETE']],
    [' delete\t', ['DELETE']],
    ['DELETE, x', ['DELETE', 'X']],
    ['x,,Delete ,', ['X', 'DELETE']],
    ['"DELETE"', ['DELETE']],
    ['get', ['GET']],
    ['', ['']],
    [',', ['']],
  ])('is read item by item: %j', (value, methods) => {
    expect(methodsOf('/x', { [name]: value })).toEqual(methods);
  });
});

it('what names safe methods alone changes nothing', () => {
  expect(mayChange({ method: 'GET', headers: {} }, '/x?%5fmethod=get%20')).toBe(false);
  expect(mayChange({ method: 'GET', headers: { 'x-http-method': 'get, HEAD' } }, '/x')).toBe(false);
  expect(mayChange({ method: 'GET', headers: { 'x-http-method': 'get, x' } }, '/x')).toBe(true);
});
