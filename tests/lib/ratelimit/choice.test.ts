import { describe, expect, it } from '@jest/globals';
import type { Identity } from '../../../lib/exchange/exchange.ts';
import { type ChosenBy, chooseBy } from '../../../lib/ratelimit/choice.ts';

const CHOICES = [
  ['pro', { name: 'pro' }],
  ['free', { name: 'free' }],
  ['7', { name: 'seven' }],
  ['true', { name: 'true' }],
  ['constructor', { name: 'constructor' }],
] as const;

function chosen(by: ChosenBy, claims: object): string {
  const identity: Identity = {
    subject: 'ann',
    key: 'ann',
    claims: Buffer.from(JSON.stringify(claims)).toString('base64url'),
  };
  return chooseBy(by, CHOICES, { name: 'default' })(identity).name;
}

describe('chooseBy', () => {
  it.each([
    [{ plan: 'pro' }, 'pro'],
    [{ plan: 'free' }, 'free'],
    [{ plan: 'Pro' }, 'default'],
    [{ plan: 'default' }, 'default'],
    [{}, 'default'],
    [{ plan: null }, 'default'],
    [{ plan: { pro: true } }, 'default'],
    [{ plan: 7 }, 'seven'],
    [{ plan: true }, 'true'],
    [{ plan: ['free', 'pro'] }, 'pro'],
    [{ plan: [['pro']] }, 'default'],
    [{ plan: '' }, 'default'],
  ])('chooses by the claim of %j', (claims, expected) => {
    expect(chosen({ claim: 'plan' }, claims)).toBe(expected);
  });

  it('takes the path of a claim, and nothing that is inherited', () => {
    expect(chosen({ claim: 'org.plan' }, { org: { plan: 'pro' } })).toBe('pro');
    expect(chosen({ claim: 'constructor.name' }, {})).toBe('default');
  });

  it.each([
    [{ scope: 'a free' }, 'free'],
    [{ scp: ['free', 'pro'] }, 'pro'],
    [{ scope: 'freed' }, 'default'],
  ])('chooses by the scopes of %j', (claims, expected) => {
    expect(chosen('scope', claims)).toBe(expected);
  });

  it('has something for who has no token', () => {
    expect(chooseBy('scope', CHOICES, { name: 'default' })(undefined)).toEqual({ name: 'default' });
  });
});
