import { expect, it } from '@jest/globals';
import { bearer, keepSecret, startGateway } from '../../support/gateway/gateway.ts';
import { authParts, HOUR_MS, sign } from '../../support/tokens.ts';

const ADMIN_TOKEN = keepSecret('an-admin-token-that-is-long-enough-for-anybody');

// Each of them was an internal error, with a stack in the log.
it('an admin request that cannot be read is the fault of its sender', async () => {
  await using gateway = await startGateway({
    services: { '/up': ['http://127.0.0.1:9'] },
    env: { ADMIN_TOKEN },
  });
  const admin = async (method: string, path: string, body: string | null = null, headers: object = {}) => {
    const all = { ...bearer(ADMIN_TOKEN), ...headers };
    return (await fetch(`${gateway.internal}/admin${path}`, { method, headers: all, body })).status;
  };
  expect(await admin('DELETE', '/revocations/%E0%A4%A')).toBe(400);
  expect(await admin('POST', '/cache/purge', 'x'.repeat(70_000))).toBe(400);
  expect(await admin('POST', '/cache/purge', '{}', { 'Content-Encoding': 'nonsense' })).toBe(400);
  expect(await admin('POST', '/cache/purge', '{}', { 'Content-Type': 'text/plain; charset=nonsense' })).toBe(
    400,
  );
  // It matched nothing and passed for done.
  expect(await admin('POST', '/cache/purge', '{"service":"/up/"}')).toBe(400);
  expect(gateway.logLines().filter(({ level }) => level === 'error')).toEqual([]);
});

// Of a refused purge there was none, so that its line in the log was not found.
it.each([
  ['/cache/purge', '{"url":"x"}'],
  ['/keys', '{"name":1}'],
])('a refused POST %s %s says the id of its request', async (path, body) => {
  await using gateway = await startGateway({
    services: { '/up': ['http://127.0.0.1:9'] },
    env: { ADMIN_TOKEN },
  });
  const response = await fetch(`${gateway.internal}/admin${path}`, {
    method: 'POST',
    headers: bearer(ADMIN_TOKEN),
    body,
  });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({ requestId: response.headers.get('x-request-id') });
});

// It counted ten years from `issuedBefore`, so that this one was over before it began.
it('a subject is revoked also by a moment that is long ago', async () => {
  const { revocations, authenticator, clock } = authParts();
  const issuedBeforeMs = clock.now() - 15 * 365 * 24 * HOUR_MS;
  await revocations.add({ kind: 'subject', subject: 'alice', issuedBeforeMs });
  const old = sign(clock, { iat: issuedBeforeMs / 1000 - 1 });
  expect(await revocations.list()).toHaveLength(1);
  await expect(authenticator.authenticate(old)).rejects.toMatchObject({ code: 'token_revoked' });
});
