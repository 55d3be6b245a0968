import { describe, expect, it } from '@jest/globals';
import { isAmbiguous, originForm, parseTarget } from '../../../gateway/http/target.ts';

describe('parseTarget', () => {
  it.each([
    ['/budgeting/api/x?y=1', '', { segment: 'budgeting', rest: '/api/x?y=1' }],
    ['/budgeting', '', { segment: 'budgeting', rest: '/' }],
    ['/budgeting?y=/a/b', '', { segment: 'budgeting', rest: '/?y=/a/b' }],
    ['/budgeting//api//x', '', { segment: 'budgeting', rest: '//api//x' }],
    ['//budgeting', '', { segment: '', rest: '/budgeting' }],
    ['/', '', { segment: '', rest: '/' }],
    ['*', '', undefined],
    ['/internal/budgeting/api', '/internal', { segment: 'budgeting', rest: '/api' }],
    ['/internal', '/internal', undefined],
    ['/internalbudgeting/x', '/internal', undefined],
    ['/budgeting/x', '/internal', undefined],
  ])('reads %s behind "%s"', (target, mount, expected) => {
    expect(parseTarget(target, mount)).toEqual(expected);
  });
});

describe('isAmbiguous', () => {
  it.each([
    '/budgeting/../userManagement/x',
    '/budgeting/./x',
    '/budgeting/..',
    '/budgeting/%2e%2e/userManagement',
    '/budgeting/%2E./x',
    '/budgeting/..%2fuserManagement',
    '/budgeting/x%2f..%2fy',
    '/budgeting/..\\userManagement',
    '/budgeting/..%5cuserManagement',
    '/budgeting/a%5Cb',
    '/budgeting/..;/x',
    '/budgeting/..;a=b/x',
    '/budgeting/x%00.json',
    '/budgeting/x%0d%0aHost:y',
    '/budgeting/x#fragment',
  ])('refuses %s', (target) => {
    expect(isAmbiguous(target)).toBe(true);
  });

  it.each([
    '/budgeting/api/transactions',
    '/budgeting/api/group%2Fproject',
    '/budgeting//x',
    '/budgeting/.well-known/x',
    '/budgeting/...',
    '/budgeting/a..b',
    '/budgeting/x%20y',
    '/budgeting/x?file=../../etc/passwd',
    '/budgeting/x?a=%2e%2e%2f',
    '/budgeting/x;v=1',
    '/budgeting/%E2%82%AC',
  ])('lets %s through', (target) => {
    expect(isAmbiguous(target)).toBe(false);
  });
});

describe('originForm', () => {
  it.each([
    ['/x', 'a', '/x'],
    ['*', 'a', '*'],
    ['http://a/x?y', 'a', '/x?y'],
    ['http://A:80/x', 'a:80', '/x'],
    ['http://a?y', 'a', '/?y'],
    ['http://b/x', 'a', undefined],
    ['http://a@b/x', 'b', undefined],
    ['http://a/x', undefined, undefined],
    ['ftp://a/x', 'a', undefined],
  ])('reads %s for host %s', (target, host, expected) => {
    expect(originForm(target, host)).toBe(expected);
  });
});
