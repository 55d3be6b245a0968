import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { load, problemsOf } from '../support/gateway/settings.ts';

const STRONG_SECRET = 'kR3vT9wQ2zX7mB4nL8pF6hJ1sD5gY0cA';

describe('the JWT secret', () => {
  test('is required', () => {
    expect(problemsOf({ JWT_SECRET: undefined })).toEqual([
      'JWT_SECRET is not set: expected the secret that tokens are signed with, JWT_SECRET_FILE naming a file that holds it, or public keys by JWKS_URL or JWT_PUBLIC_KEY_FILE',
    ]);
  });

  test('keeps the blanks around it, which other settings lose', () => {
    expect(load({ JWT_SECRET: ' blanks count ' }).jwtSecret).toBe(' blanks count ');
  });

  test.each([
    { in: 'from file\n', out: 'from file' },
    { in: 'from file\r\n', out: 'from file' },
    { in: ' blanks count ', out: ' blanks count ' },
  ])('is read from a Docker secret: $in', ({ in: text, out }) => {
    const path = '/run/secrets/jwt_secret';
    expect(load({ JWT_SECRET: '', JWT_SECRET_FILE: path }, { [path]: text }).jwtSecret).toBe(out);
  });

  const unreadable: { name: string; in: Record<string, string>; out: string }[] = [
    { name: 'is missing', in: {}, out: 'expected a readable file (ENOENT)' },
    { name: 'is empty', in: { secret: '\n' }, out: 'expected a file holding the secret, this one is empty' },
  ];
  test.each(unreadable)('is refused when its file $name', ({ in: files, out }) => {
    const problems = problemsOf({ JWT_SECRET: '', JWT_SECRET_FILE: 'secret' }, files);
    expect(problems).toEqual([`JWT_SECRET_FILE is "secret": ${out}`]);
  });

  test('is refused when it is given twice', () => {
    expect(problemsOf({ JWT_SECRET_FILE: 'secret' }, { secret: 'other' })).toEqual([
      'JWT_SECRET and JWT_SECRET_FILE are both set: expected only one of them',
    ]);
  });

  test.each([
    { name: 'short', secret: 'short', out: 'JWT_SECRET is 5 bytes long' },
    { name: '31 bytes', secret: STRONG_SECRET.slice(1), out: 'JWT_SECRET is 31 bytes long' },
    { name: "the original's example", secret: 'your-secret-key-here', out: 'JWT_SECRET is an example' },
    {
      name: 'a long example',
      secret: 'your-super-secret-key-change-me-in-production',
      out: 'JWT_SECRET is an example',
    },
  ])('is refused in production only: $name', ({ secret, out }) => {
    expect(load({ JWT_SECRET: secret }).jwtSecret).toBe(secret);
    expect(problemsOf({ JWT_SECRET: secret, NODE_ENV: 'production' })).toEqual([
      expect.stringContaining(out),
    ]);
    expect(problemsOf({ JWT_SECRET: secret, NODE_ENV: 'Production' })).toHaveLength(1);
    expect(
      problemsOf({ JWT_SECRET: '', JWT_SECRET_FILE: 's', NODE_ENV: 'production' }, { s: secret }),
    ).toHaveLength(1);
  });

  test('of 32 bytes is accepted in production', () => {
    expect(load({ JWT_SECRET: STRONG_SECRET, NODE_ENV: 'production' }).jwtSecret).toBe(STRONG_SECRET);
  });
});

describe('the admin token', () => {
  test.each([
    {
      name: 'short',
      token: 'short',
      out: 'ADMIN_TOKEN is 5 bytes long: in production, expected at least 32',
    },
    {
      name: 'an example',
      token: 'change-me-change-me-change-me-change-me',
      out: 'ADMIN_TOKEN is an example',
    },
  ])('is refused in production only: $name', ({ token, out }) => {
    expect(load({ ADMIN_TOKEN: token }).adminToken).toBe(token);
    const problems = problemsOf({ JWT_SECRET: STRONG_SECRET, ADMIN_TOKEN: token, NODE_ENV: 'production' });
    expect(problems).toEqual([expect.stringContaining(out)]);
    expect(problems.join()).not.toContain(`"${token}`);
  });

  test('is read from a Docker secret', () => {
    expect(load({ ADMIN_TOKEN_FILE: 'admin' }, { admin: `${STRONG_SECRET}\n` }).adminToken).toBe(
      STRONG_SECRET,
    );
  });
});

describe('public keys', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const privatePem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const noSecret = { JWT_SECRET: undefined };
  const atUrl = { ...noSecret, JWKS_URL: 'https://issuer.test/keys' };

  test('take the place of the secret, and bring their algorithms', () => {
    expect(load(atUrl)).toMatchObject({ jwtSecret: undefined, jwtAlgorithms: ['RS256', 'ES256', 'EdDSA'] });
    expect(load({ JWKS_URL: atUrl.JWKS_URL }).jwtAlgorithms).toEqual(['HS256', 'RS256', 'ES256', 'EdDSA']);
    expect(load({ ...atUrl, JWT_ALGORITHMS: 'PS384' }).jwtAlgorithms).toEqual(['PS384']);
  });

  test('are read from a file', () => {
    const env = { ...noSecret, JWT_PUBLIC_KEY_FILE: 'key.pem' };
    expect(load(env, { 'key.pem': publicPem }).jwtPublicKey).toBe(publicPem.trimEnd());
  });

  test.each([
    { name: 'private', pem: privatePem, out: 'this one is private, and only its issuer may have it' },
    { name: 'none', pem: 'hunter2', out: 'expected a public key or certificate in PEM' },
  ])('are refused when the PEM is $name, without showing it', ({ pem, out }) => {
    const problems = problemsOf({ ...noSecret, JWT_PUBLIC_KEY: pem });
    expect(problems).toEqual([expect.stringContaining(out)]);
    expect(problems.join()).not.toContain(pem);
  });

  test.each([
    {
      name: 'two sources',
      env: { ...atUrl, JWT_PUBLIC_KEY: publicPem },
      out: 'JWKS_URL and JWT_PUBLIC_KEY are both set',
    },
    {
      name: 'a public key for a secret',
      env: { JWT_SECRET: publicPem },
      out: 'JWT_SECRET holds a key in PEM: expected a secret, and JWT_PUBLIC_KEY to hold a public key',
    },
    {
      name: 'HS without a secret',
      env: { ...atUrl, JWT_ALGORITHMS: 'HS256' },
      out: 'expected JWT_SECRET to be set',
    },
    {
      name: 'RS without keys',
      env: { JWT_ALGORITHMS: 'HS256, RS256' },
      out: 'JWT_ALGORITHMS holds RS256: expected JWKS_URL or JWT_PUBLIC_KEY_FILE to be set as well',
    },
  ])('do not go with everything: $name', ({ env, out }) => {
    expect(problemsOf(env)).toEqual([expect.stringContaining(out)]);
  });
});

describe('secrets', () => {
  const cases: { name: string; in: NodeJS.ProcessEnv; files?: Record<string, string> }[] = [
    { name: 'a short JWT secret', in: { JWT_SECRET: 'hunter2', NODE_ENV: 'production' } },
    {
      name: 'a JWT secret given twice',
      in: { JWT_SECRET: 'hunter2', JWT_SECRET_FILE: 'f' },
      files: { f: 'hunter2' },
    },
    { name: 'a Redis URL that is none', in: { REDIS_URL: 'hunter2' } },
    {
      name: 'a password in a Redis URL',
      in: { REDIS_URL: 'redis://u:hunter2%@r', REDIS_PASSWORD: 'hunter2' },
    },
    { name: 'a password before a host', in: { SERVICE_DISCOVERY_URL: 'u:hunter2@registry:9000' } },
    { name: 'a password in another URL', in: { SERVICE_DISCOVERY_URL: 'http://u:hunter2@registry' } },
    {
      name: 'a file that is not the services',
      in: { GATEWAY_FILE: 'f.yaml' },
      files: { 'f.yaml': 'hunter2' },
    },
    {
      name: 'a password in an upstream',
      in: { GATEWAY_FILE: 'f.json' },
      files: { 'f.json': '{"services":[{"name":"a","path":"/a","upstreams":["http://u:hunter2@a"]}]}' },
    },
  ];
  test.each(cases)('stay out of errors: $name', ({ in: env, files }) => {
    const problems = problemsOf(env, files);
    expect(problems).toHaveLength(1);
    expect(problems.join()).not.toContain('hunter2');
  });
});
