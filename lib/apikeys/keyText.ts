import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** What every key begins with, so that people and scanners for leaked secrets recognise one. */
export const KEY_PREFIX = 'fafkey_';

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const ID_LENGTH = 12;
const SECRET_BYTES = 32;
/** As many digits as 256 bits need. */
const SECRET_LENGTH = 43;
/** As many as 32 bits need. */
const CHECKSUM_LENGTH = 6;

const SECRET_AT = KEY_PREFIX.length + ID_LENGTH + 1;
const CHECKSUM_AT = SECRET_AT + SECRET_LENGTH;
/** Length of every key, in characters. */
export const KEY_LENGTH = CHECKSUM_AT + CHECKSUM_LENGTH;

const ID = new RegExp(`^[0-9A-Za-z]{${ID_LENGTH}}$`);
const KEY = new RegExp(`^${KEY_PREFIX}[0-9A-Za-z]{${ID_LENGTH}}_[0-9A-Za-z]{${KEY_LENGTH - SECRET_AT}}$`);
const WORD = KEY_PREFIX.slice(0, -1);
/** Matching takes linear time, because matched text is not examined again. */
const KEYS = new RegExp(`${WORD}_([0-9A-Za-z]{${ID_LENGTH}})_[0-9A-Za-z]+`, 'g');
/** A letter, digit or `_` that is percent-encoded, once or several times over. None of them needs to be. */
const ENCODED = /%(?:25)*(3\d|[46][1-9a-f]|[57][0-9a]|5f)/gi;

/** Bytes that nobody can predict. */
export type RandomBytes = (count: number) => Buffer;

/** What is wrong with a text that is no key: its form, or the checksum at its end. */
export type KeyTextProblem = 'form' | 'checksum';

/** A new id, which is public: 71 bits, so no two keys have the same one. */
export function newKeyId(random: RandomBytes = randomBytes): string {
  // 72 bits have 13 digits, of which the first says next to nothing.
  return inDigits(BigInt(`0x${random(9).toString('hex')}`), ID_LENGTH + 1).slice(-ID_LENGTH);
}

/**
 * A new key: `fafkey_<id>_<secret><checksum>`, all of it letters and digits apart from the `_`, so that a double click selects
 * it and no format needs to escape it. The secret has 256 random bits; the checksum is CRC-32 over all that precedes it.
 */
export function newKeyText(id: string, random: RandomBytes = randomBytes): string {
  const secret = inDigits(BigInt(`0x${random(SECRET_BYTES).toString('hex')}`), SECRET_LENGTH);
  const text = `${KEY_PREFIX}${id}_${secret}`;
  return text + checksumOf(text);
}

/**
 * What is wrong with the text by itself; undefined where it may be a key. The checksum finds keys that were mistyped or cut
 * short, and secrets of another kind, without asking anybody. It protects from nothing else: anybody can compute it.
 */
export function keyTextProblem(text: string): KeyTextProblem | undefined {
  if (text.length !== KEY_LENGTH || !KEY.test(text)) return 'form';
  return text.slice(CHECKSUM_AT) === checksumOf(text.slice(0, CHECKSUM_AT)) ? undefined : 'checksum';
}

/** The id in a text for which `keyTextProblem` has found nothing. */
export function keyIdOf(text: string): string {
  return text.slice(KEY_PREFIX.length, SECRET_AT - 1);
}

/** Whether it has the form of an id. */
export function isKeyId(text: string): boolean {
  return ID.test(text);
}

/**
 * The text with `...` in place of what is secret in any key in it: for logs, where paths and messages come from outside. Where one
 * is percent-encoded, in whole or in part, its text is decoded first.
 */
export function withoutKeys(text: string): string {
  const plain = text.includes('%') ? text.replace(ENCODED, decoded) : text;
  if (!plain.includes(WORD)) return text;
  const hidden = plain.replace(KEYS, `${KEY_PREFIX}$1_...`);
  return hidden === plain ? text : hidden;
}

function decoded(_encoded: string, hex: string): string {
  return String.fromCharCode(Number.parseInt(hex, 16));
}

function checksumOf(text: string): string {
  return inDigits(BigInt(crc32(text)), CHECKSUM_LENGTH);
}

function inDigits(value: bigint, length: number): string {
  let text = '';
  for (let rest = value; rest > 0n; rest /= 62n) text = DIGITS[Number(rest % 62n)] + text;
  return text.padStart(length, '0');
}
