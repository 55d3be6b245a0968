import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, jest } from '@jest/globals';
import { exportJWK, SignJWT } from 'jose';
import { eventually } from '../../support/eventually.ts';
import {
  bearer,
  keepSecret,
  startGateway,
  type TestGateway,
  tokenFor,
} from '../../support/gateway/gateway.ts';
import { runGateway } from '../../support/gateway/gatewayRun.ts';
import { expectProblem } from '../../support/gateway/problem.ts';
import { sendJson, startUpstream } from '../../support/upstreams/upstream.ts';

const { publicKey, privateKey } = generateKeyPairSync('ed25519');
const newer = generateKeyPairSync('ed25519');
const NO_SECRET = { JWT_SECRET: '' };
// A process of its own, on a machine that may be busy.
jest.setTimeout(30_000);

async function signed(kid: string, key = privateKey): Promise<string> {
  const token = new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'EdDSA', kid }).setExpirationTime('1h');
  return keepSecret(await token.sign(key));
}

const get = (gateway: TestGateway, token: string) =>
  fetch(`${gateway.external}/budgeting/x`, { headers: bearer(token) });

it('starts while the keys cannot be had: 503 until they can, the last good ones after that', async () => {
  let keys: object[] | undefined;
  await using issuer = await startUpstream((_req, res) =>
    keys ? sendJson(res, { keys }) : res.writeHead(500).end(),
  );
  await using service = await startUpstream();
  await using gateway = await startGateway({
    services: { '/budgeting': [service] },
    env: { ...NO_SECRET, JWKS_URL: issuer.url.href },
  });
  const token = await signed('a');
  await expectProblem(await get(gateway, token), 'keys_unavailable');
  await expectProblem(await get(gateway, tokenFor('ann')), 'token_invalid');
  keys = [{ ...(await exportJWK(publicKey)), kid: 'a' }];
  await eventually('the keys are there', async () => (await get(gateway, token)).status === 200);
  keys = [...keys, { ...(await exportJWK(newer.publicKey)), kid: 'b' }];
  expect((await get(gateway, await signed('b', newer.privateKey))).status).toBe(200);
  keys = undefined;
  expect((await get(gateway, await signed('a'))).status).toBe(200);
  await expectProblem(await get(gateway, await signed('a', newer.privateKey)), 'token_invalid');
});

it('takes one public key from a file, and says so when no algorithm goes with it', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'gateway-key-'));
  const file = join(directory, 'key.pem');
  writeFileSync(file, publicKey.export({ type: 'spki', format: 'pem' }));
  await using service = await startUpstream();
  const services = { '/budgeting': [service] };
  await using gateway = await startGateway({ services, env: { ...NO_SECRET, JWT_PUBLIC_KEY_FILE: file } });
  expect((await get(gateway, await signed('whatever'))).status).toBe(200);
  await using refused = runGateway({
    services,
    env: { ...NO_SECRET, JWT_PUBLIC_KEY_FILE: file, JWT_ALGORITHMS: 'RS256' },
  });
  expect((await refused.exited).exitCode).toBe(1);
  expect(refused.stderr()).toMatch(/^The public key goes with EdDSA, Ed25519, .* set JWT_ALGORITHMS to what/);
  rmSync(directory, { recursive: true });
});

describe('of two RSA keys of an issuer', () => {
  const keys = [1, 2].map(() => generateKeyPairSync('rsa', { modulusLength: 2048 }));

  /** A token of each key, and a gateway that knows both keys by these names. */
  async function startWorld(kids: readonly (string | undefined)[]) {
    const stack = new AsyncDisposableStack();
    const jwks = await Promise.all(
      keys.map(async (key, n) => ({ ...(await exportJWK(key.publicKey)), alg: 'RS256', kid: kids[n] })),
    );
    const issuer = stack.use(await startUpstream((_req, res) => sendJson(res, { keys: jwks })));
    const service = stack.use(await startUpstream());
    const gateway = stack.use(
      await startGateway({
        services: { '/budgeting': [service] },
        env: { ...NO_SECRET, JWKS_URL: issuer.url.href, JWT_ALGORITHMS: 'RS256' },
      }),
    );
    return { gateway, [Symbol.asyncDispose]: () => stack.disposeAsync() };
  }

  const tokenOf = async (key: (typeof keys)[number], head: object = {}, claims: object = {}) =>
    keepSecret(
      await new SignJWT({ sub: 'ann', ...claims })
        .setProtectedHeader({ alg: 'RS256', ...head })
        .setExpirationTime('1h')
        .sign(key.privateKey),
    );
  const stranger = generateKeyPairSync('rsa', { modulusLength: 2048 });

  it.each([
    { what: 'a token that names none', kids: ['a', 'b'], head: {} },
    { what: 'a token whose name both have', kids: ['a', 'a'], head: { kid: 'a' } },
  ])('either may have signed $what', async ({ kids, head }) => {
    await using world = await startWorld(kids);
    for (const key of keys) expect((await get(world.gateway, await tokenOf(key, head))).status).toBe(200);
    await expectProblem(await get(world.gateway, await tokenOf(stranger, head)), 'token_invalid');
  });

  it('a token counts although it begins a moment ahead of this clock', async () => {
    await using world = await startWorld(['a', 'b']);
    const ahead = (seconds: number) => ({ nbf: Math.ceil(Date.now() / 1000) + seconds });
    const [key] = keys as [(typeof keys)[number]];
    const statusOf = async (seconds: number) =>
      (await get(world.gateway, await tokenOf(key, { kid: 'a' }, ahead(seconds)))).status;
    expect(await statusOf(2)).toBe(200);
    expect(await statusOf(60)).toBe(401);
  });
});
