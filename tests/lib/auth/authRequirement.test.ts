import { describe, expect, it } from '@jest/globals';
import { claimAt, type Requirement, requirementCheck } from '../../../lib/auth/requirement.ts';

function lackOf(requirement: Partial<Requirement>, claims: string | object): string | undefined {
  const json = typeof claims === 'string' ? claims : JSON.stringify(claims);
  const check = requirementCheck({ claims: {}, scopes: [], ...requirement });
  const identity = { subject: 'ann', key: 'ann', claims: Buffer.from(json).toString('base64url') };
  const [first, again] = [check(identity), check(identity)];
  expect(again).toBe(first);
  return first?.message;
}

const MICROSOFT_ROLE = 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role';

describe('claims that are required', () => {
  it.each([
    [{ role: ['admin'] }, { role: 'admin' }],
    [{ role: ['boss', 'admin'] }, { role: ['user', 'admin'] }],
    [{ 'realm_access.roles': ['admin'] }, { realm_access: { roles: ['admin'] } }],
    [{ 'resource_access.my.client.roles': ['x'] }, { resource_access: { 'my.client': { roles: ['x'] } } }],
    [{ [MICROSOFT_ROLE]: ['admin'] }, { [MICROSOFT_ROLE]: 'admin' }],
    [{ 'https://faf.example/roles': ['a'] }, { 'https://faf.example/roles': ['a'] }],
    [
      { level: [2], verified: [true] },
      { level: 2, verified: true },
    ],
    [{ constructor: ['x'] }, '{"constructor":"x"}'],
  ])('are met: %j by %j', (claims, token) => {
    expect(lackOf({ claims }, token)).toBe(undefined);
  });

  it.each([
    [{ role: ['admin'] }, {}],
    [{ role: ['admin'] }, { role: 'Admin' }],
    [{ role: ['admin'] }, { role: 'admin,user' }],
    [{ role: ['admin'] }, { role: [['admin']] }],
    [{ role: ['admin'] }, { role: { admin: true } }],
    [{ role: ['admin'] }, { role: null }],
    [{ role: ['admin'], tenant: ['x'] }, { role: 'admin' }],
    [{ level: [2] }, { level: '2' }],
    [{ level: ['2'] }, { level: 2 }],
    [{ verified: [true] }, { verified: 'true' }],
    [{ verified: [true] }, { verified: 1 }],
    // What a claim of that very name says counts before a path.
    [{ 'a.b': ['x'] }, { 'a.b': 'y', a: { b: 'x' } }],
    [{ 'roles.0': ['admin'] }, { roles: ['admin'] }],
    [{ 'roles.length': [1] }, { roles: ['admin'] }],
    [{ 'role.length': [5] }, { role: 'admin' }],
    [{ 'constructor.name': ['Object'] }, {}],
    [{ 'a.__proto__.b': ['x'] }, { a: {} }],
    [{ toString: ['x'] }, {}],
    [{ '': ['x'] }, {}],
    [{ '.': ['x'] }, { '': { '': 'x' } }],
  ])('are not met: %j by %j', (claims, token) => {
    expect(lackOf({ claims }, token)).toMatch(/^(?:the token has no claim|the claim) /);
  });

  it('are told apart by name, never by what a token says', () => {
    expect(lackOf({ claims: { role: ['admin'] } }, { role: 'secret' })).toBe(
      'the claim "role" has none of the values asked for',
    );
    expect(lackOf({ claims: { role: ['admin'] } }, {})).toBe('the token has no claim "role"');
  });

  it('are looked for in linear time, however many dots a name has', () => {
    const path = Array.from({ length: 200 }, () => 'a').join('.');
    expect(claimAt({ a: { a: 1 } }, path)).toBe(undefined);
  });
});

describe('scopes that are required', () => {
  it.each([
    [['a'], { scope: 'a' }],
    [['a', 'b:c'], { scope: 'x b:c a' }],
    [['a', 'b'], { scope: 'a', scp: ['b'] }],
    [['a'], { scp: 'b a' }],
    [['a'], { scope: ['a'] }],
  ])('are met: %j by %j', (scopes, token) => {
    expect(lackOf({ scopes }, token)).toBe(undefined);
  });

  it.each([
    [['a'], {}],
    [['a', 'b'], { scope: 'a' }],
    [['a'], { scope: 'ab' }],
    [['a'], { scope: 'a,b' }],
    [['a'], { scp: { a: true } }],
    [['a'], { scope: ['a b'] }],
    [['1'], { scp: [1] }],
  ])('are not met: %j by %j', (scopes, token) => {
    expect(lackOf({ scopes }, token)).toMatch(/^the token does not have the scope [ab1]$/);
  });

  it('are all in the challenge, also where a claim is missing', () => {
    const identity = { subject: 'ann', key: 'ann', claims: Buffer.from('{}').toString('base64url') };
    const check = requirementCheck({ claims: { role: ['admin'] }, scopes: ['a', 'b'] });
    expect(check(identity)?.challenge).toBe('Bearer error="insufficient_scope", scope="a b"');
    expect(requirementCheck({ claims: { role: ['admin'] }, scopes: [] })(identity)?.challenge).toBe(
      'Bearer error="insufficient_scope"',
    );
  });
});
