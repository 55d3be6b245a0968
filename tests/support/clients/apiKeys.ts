import { bearer, keepSecret } from '../gateway/gateway.ts';

/** The admin token of gateways whose keys a test makes. */
export const ADMIN_TOKEN = keepSecret('an-admin-token-that-is-long-enough-for-anybody');

/** A key as the admin API shows it. */
export interface ShownKey {
  readonly id: string;
  readonly key: string;
  readonly status: string;
  readonly [field: string]: unknown;
}

/** Asks /admin/keys on an internal port, as an operator does. */
export function askKeys(
  internal: string,
  method: string,
  path = '',
  body?: unknown,
  token = ADMIN_TOKEN,
): Promise<Response> {
  return fetch(`${internal}/admin/keys${path}`, {
    method,
    headers: bearer(token),
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** Makes a key, which no log line may ever show. */
export async function makeKey(internal: string, more: object = {}): Promise<ShownKey> {
  const response = await askKeys(internal, 'POST', '', { name: 'nightly', owner: 'billing', ...more });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`no key was made: ${response.status} ${text}`);
  const made = JSON.parse(text) as ShownKey;
  hide(made.key);
  return made;
}

/** Rotates a key: the new one. */
export async function rotateKey(internal: string, id: string, graceSeconds = 0): Promise<ShownKey> {
  const response = await askKeys(internal, 'POST', `/${id}/rotate`, { graceSeconds });
  if (response.status !== 200) throw new Error(`not rotated: ${response.status} ${await response.text()}`);
  const made = (await response.json()) as ShownKey;
  hide(made.key);
  return made;
}

export async function revokeKey(internal: string, id: string): Promise<void> {
  const { status } = await askKeys(internal, 'DELETE', `/${id}`);
  if (status !== 204) throw new Error(`not revoked: ${status}`);
}

/** Neither the key nor any half of its secret may be printed. */
function hide(key: string): void {
  const secret = key.split('_')[2] as string;
  for (const part of [key, secret, secret.slice(0, 24), secret.slice(24)]) keepSecret(part);
}

/** The field that carries a key. */
export function withKey(key: string): { 'X-Api-Key': string } {
  return { 'X-Api-Key': key };
}
