import type { IncomingMessage } from 'node:http';
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { revokingRequests } from '../../../lib/auth/revocation/revokePaths.ts';
import { cases } from '../../support/cases.ts';

const LOGOUT = '/userManagement/auth/logout';
const isRevoking = revokingRequests([LOGOUT]);
const post = { method: 'POST', headers: {} } as IncomingMessage;

const hex = (byte: number) => `%${byte.toString(16).padStart(2, '0')}`;

/** What some service takes for the character, one way or another. */
const SPELLINGS: readonly ((character: string) => string)[] = [
  (character) => character,
  (character) => character.toUpperCase(),
  (character) => hex(character.charCodeAt(0)),
  (character) => hex(character.charCodeAt(0)).toUpperCase(),
  (character) => hex(character.charCodeAt(0)).replace('%', '%25'),
  // Fullwidth, a combining mark behind it, a zero-width space, and bytes that are no UTF-8.
  (character) => encodeURIComponent(String.fromCharCode(character.charCodeAt(0) + 0xfee0)),
  (character) => `${character}%CC%81`,
  (character) => `%E2%80%8B${character}`,
  (character) => `${character}%ff`,
  (character) => `%fe${character}`,
];

/** What may stand behind a segment, and in the place of a slash. */
const ENDINGS = ['', '', ';', ';v=1', ';%', ';%ff%zz', '.', '%20', '.%20.'];
const SLASHES = ['/', '/', '//', '%2f', '%2F/', '\\', '%5c', '/./', '/x/../', '/;/', '/%252e/'];

const segments = LOGOUT.slice(1).split('/');
const spelt = fc
  .tuple(
    fc.array(fc.nat(SPELLINGS.length - 1), { minLength: LOGOUT.length, maxLength: LOGOUT.length }),
    fc.array(fc.constantFrom(...ENDINGS), { minLength: segments.length, maxLength: segments.length }),
    fc.array(fc.constantFrom(...SLASHES), { minLength: segments.length, maxLength: segments.length }),
    fc.constantFrom('', '/', '//', '.json', '?a=b', '/?a=b'),
  )
  .map(([choices, endings, slashes, end]) => {
    let at = 0;
    const names = segments.map((segment) =>
      [...segment].map((character) => SPELLINGS[choices[at++] as number]?.(character)).join(''),
    );
    return names.map((name, n) => `${slashes[n]}${name}${endings[n]}`).join('') + end;
  });

it('a logout is recognised in every spelling that a service may read as one', () => {
  fc.assert(
    fc.property(spelt, (path) => isRevoking(post, path)),
    cases(3_000),
  );
});

it('whatever the path, somebody decides, and nothing but a logout is one', () => {
  const anyPath = fc.string({ unit: fc.constantFrom(...'/;.%25fFaA\\ ?\u0000\u017f\ud800'), maxLength: 60 });
  fc.assert(
    fc.property(anyPath, (path) => {
      expect(isRevoking(post, `/budgeting/${path}`)).toBe(false);
    }),
    cases(3_000),
  );
});
