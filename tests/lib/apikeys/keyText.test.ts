import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import {
  KEY_LENGTH,
  keyIdOf,
  keyTextProblem,
  newKeyId,
  newKeyText,
  withoutKeys,
} from '../../../lib/apikeys/keyText.ts';

const ID = 'abcDEF012345';
const key = newKeyText(ID);
const other = (character: string) => (character === 'x' ? 'y' : 'x');

describe('the text of an API key', () => {
  it('has a prefix, its id, 256 bits and a checksum, in one word', () => {
    expect(key).toMatch(/^fafkey_abcDEF012345_\w{49}$/);
    expect(key).toHaveLength(KEY_LENGTH);
    expect([keyTextProblem(key), keyIdOf(key)]).toEqual([undefined, ID]);
  });

  it.each([
    { bytes: Buffer.alloc(32, 0), name: 'all bits 0' },
    { bytes: Buffer.alloc(32, 0xff), name: 'all bits 1' },
  ])('is of one length, with $name too', ({ bytes }) => {
    const text = newKeyText(ID, () => bytes);
    expect([text.length, keyTextProblem(text)]).toEqual([KEY_LENGTH, undefined]);
  });

  it('is different for bits that differ in one', () => {
    const texts = Array.from({ length: 256 }, (_, bit) => {
      const bytes = Buffer.alloc(32);
      bytes[bit >> 3] = 1 << (bit & 7);
      return newKeyText(ID, () => bytes);
    });
    expect(new Set(texts).size).toBe(256);
  });

  it('has ids of one form, whatever the bits', () => {
    const ids = [Buffer.alloc(9), Buffer.alloc(9, 0xff), randomBytes(9)].map((bytes) =>
      newKeyId(() => bytes),
    );
    for (const id of ids) expect(id).toMatch(/^[0-9A-Za-z]{12}$/);
  });

  it('has a checksum that any changed character breaks', () => {
    for (let i = 'fafkey_'.length; i < KEY_LENGTH; i += 1) {
      if (key[i] === '_') continue;
      const changed = key.slice(0, i) + other(key[i] as string) + key.slice(i + 1);
      expect(keyTextProblem(changed)).toBe('checksum');
    }
  });

  it.each([
    ['nothing', ''],
    ['a character less', key.slice(0, -1)],
    ['a character more', `${key}0`],
    ['a blank behind', `${key} `],
    ['another prefix', key.replace('fafkey', 'fafkez')],
    ['letters of Unicode', `${key.slice(0, -1)}Ａ`],
    ['a line break', `${key.slice(0, -1)}\n`],
    ['8 KiB', 'fafkey_'.repeat(1171)],
    ['a token', 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl'],
  ])('is not one with %s', (_name, text) => {
    expect(keyTextProblem(text)).toBe('form');
  });
});

describe('a text with keys in it', () => {
  it('is shown with their ids alone', () => {
    const text = `GET /a/${key}/b?x=${key}&y`;
    expect(withoutKeys(text)).toBe(`GET /a/fafkey_${ID}_.../b?x=fafkey_${ID}_...&y`);
  });

  it.each([
    { what: 'a letter of the word', at: [0] },
    { what: 'a character of the secret', at: [40] },
    { what: 'every character', at: [...key].map((_, at) => at) },
  ])('is hidden with $what percent-encoded, once or twice', ({ at }) => {
    const encoded = [...key].map((character, each) =>
      at.includes(each) ? `%${character.charCodeAt(0).toString(16)}` : character,
    );
    for (const text of [encoded.join(''), encoded.join('').replaceAll('%', '%25')]) {
      expect(withoutKeys(`/a%20b/${text}%2F?x`)).toBe(`/a%20b/fafkey_${ID}_...%2F?x`);
    }
    expect(withoutKeys('/a%41/fafkey%5Fshort')).toBe('/a%41/fafkey%5Fshort');
  });

  it('hides parts of a key as well, and leaves all else as it is', () => {
    expect(withoutKeys(`see ${key.slice(0, 40)}`)).toBe(`see fafkey_${ID}_...`);
    expect(withoutKeys('fafkey_ and fafkey_short')).toBe('fafkey_ and fafkey_short');
  });
});
