import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const SALT_BYTES = 16;
const KEY_BYTES = 32;

const derive = promisify<string, Buffer, number, Buffer>(scrypt);

export interface PasswordHash {
  readonly salt: Buffer;
  readonly key: Buffer;
}

export async function hashPassword(password: string): Promise<PasswordHash> {
  const salt = randomBytes(SALT_BYTES);
  return { salt, key: await derive(password, salt, KEY_BYTES) };
}

export async function isPassword(password: string, { salt, key }: PasswordHash): Promise<boolean> {
  return timingSafeEqual(key, await derive(password, salt, KEY_BYTES));
}
