import { expect, it, jest } from '@jest/globals';
import { ADMIN_TOKEN, askKeys, makeKey, revokeKey, rotateKey } from '../../support/clients/apiKeys.ts';
import { request, sendRaw } from '../../support/clients/rawClient.ts';
import { explainedIn } from '../../support/gateway/explained.ts';
import { bearer, startGateway } from '../../support/gateway/gateway.ts';
import { secretsIn } from '../../support/secrets.ts';
import { startUpstream } from '../../support/upstreams/upstream.ts';

// Real sockets on a machine that may be busy.
jest.setTimeout(30_000);

const FILE = `services:
  - name: jobs
    path: /jobs
    upstreams: ["http://jobs"]
    auth: { sources: [bearer, apiKey] }
`;

/** Everywhere a client may put a key by mistake. */
function placesFor(key: string): string[][] {
  const line = `X-Api-Key: ${key}`;
  return [
    ['GET /jobs/right', line],
    ['GET /jobs/write/1', line],
    ['GET /jobs/broken', line],
    ['GET /jobs/gone', line],
    ['GET /jobs/twice', line, line],
    ['GET /jobs/elsewhere', `Authorization: Bearer ${key}`],
    ['GET /jobs/scheme', `Authorization: ApiKey ${key}`],
    ['GET /jobs/cookie', line, `Cookie: key=${key}`],
    [`GET /jobs/query?api_key=${key}`, line],
    [`GET /jobs/path/${key}/x`, line],
    [`GET /jobs/encoded/${key.replaceAll('_', '%5F')}/x`, line],
    [`GET /jobs/partly/%66${key.slice(1, 40)}%${key.charCodeAt(40).toString(16)}${key.slice(41)}/x`, line],
    [`GET /jobs/twice-encoded/${key.replaceAll('_', '%255F')}/x`, line],
    [`GET /jobs/ambiguous/..%2f${key}`, line],
    [`GET /nowhere/${key}`, line],
    [`GET /${key}`, line],
    [`GET //jobs//${key}`, line],
    ['GET /jobs/trace', line, `X-Request-Id: ${key}`, `traceparent: ${key}`, `tracestate: a=${key}`],
    [
      'GET /jobs/state',
      line,
      `traceparent: 00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      `tracestate: a=${key}`,
    ],
    ['GET /jobs/others', line, `User-Agent: ${key}`, `Referer: http://x/${key}`, `X-Forwarded-For: ${key}`],
    [`${key} /jobs/method`, line],
    [`OPTIONS /jobs/preflight`, `Origin: http://${key}`, `Access-Control-Request-Method: ${key}`],
    ['POST /jobs/length', line, `Content-Length: ${key}`],
    [`GET /jobs/name`, `${key}: 1`],
  ];
}

it('no key gets into a log line, a metric, a span, a refusal or what operators see', async () => {
  await using collector = await startUpstream();
  await using service = await startUpstream(({ url = '' }, res) => {
    if (url.includes('broken')) res.statusCode = 500;
    if (url.includes('gone')) return void res.destroy();
    res.setHeader('Cache-Control', 'max-age=60').setHeader('Vary', 'X-Api-Key, Authorization').end('ok');
  });
  let shown = '';
  {
    await using gateway = await startGateway({
      services: {
        '/jobs': {
          upstreams: [service],
          auth: { sources: ['bearer', 'apiKey'] },
          cors: { origins: ['https://app.faf.example'] },
          routes: [{ match: { path: '/write/**' }, auth: { require: { scopes: ['write'] } } }],
        },
      },
      env: {
        ADMIN_TOKEN,
        LOG_LEVEL: 'debug',
        TRUSTED_PROXIES: '127.0.0.1',
        SERVER_TIMING: 'true',
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin,
      },
    });
    const { internal, external } = gateway;
    const { id, key: first } = await makeKey(internal);
    const { key } = await rotateKey(internal, id);
    for (const each of [key, first]) {
      for (const [line = '', ...fields] of placesFor(each)) {
        const response = await sendRaw(external, request(line, ...fields));
        shown += `${response.status} ${JSON.stringify(response.fields)} ${response.body}\n`;
        const inside = await sendRaw(internal, request(line, ...fields));
        shown += `${inside.status} ${JSON.stringify(inside.fields)} ${inside.body}\n`;
      }
    }
    const asked: [string, string, unknown?][] = [
      ['GET', ''],
      ['GET', `?after=${key}`],
      ['GET', `?${key}=1`],
      ['GET', `/${id}`],
      ['GET', `/${key}`],
      ['DELETE', `/${key}`],
      ['POST', `/${key}/rotate`],
      ['POST', '', key],
      ['POST', '', { name: [key], owner: 'x' }],
      ['POST', '', { [key]: key }],
      ['POST', '', { name: 'x', owner: 'x', scopes: [`"${key}`] }],
      ['POST', '', { name: 'x', owner: 'x', expiresAt: key }],
      ['POST', '', { name: key, owner: 'x' }],
      ['POST', '', { name: 'x', owner: `of ${key}` }],
      ['POST', '', { name: 'x', owner: 'x', scopes: [key] }],
      ['POST', '', { name: 'x', owner: 'x', claims: { plan: key } }],
      ['PATCH', `/${id}`, { name: key }],
      ['PATCH', `/${id}`, { scopes: ['a'] }],
      ['PATCH', `/${id}`, { claims: { sub: key } }],
    ];
    for (const [method, path, body] of asked) {
      const response = await askKeys(internal, method, path, body);
      shown += `${method} ${path.replace(key, 'KEY')}: ${response.status} ${await response.text()}\n`;
    }
    shown += await (await askKeys(internal, 'GET', '', undefined, key)).text();
    const purge = { method: 'POST', headers: bearer(ADMIN_TOKEN), body: JSON.stringify({ service: key }) };
    shown += await (await fetch(`${internal}/admin/cache/purge`, purge)).text();
    await revokeKey(internal, id);
    shown += (await sendRaw(external, request('GET /jobs/revoked', `X-Api-Key: ${key}`))).body;
    shown += await (await fetch(`${internal}/metrics`)).text();
    const explained = await explainedIn(FILE, ['GET', `http://x/jobs/a/${key}?api_key=${key}`], {
      headers: [`X-Api-Key: ${key}`],
    });
    shown += JSON.stringify(explained);
    expect(explained.outcome).toMatchObject({ kind: 'forward' });
    const keyless = await explainedIn(FILE.replace('bearer, ', ''), ['GET', 'http://x/jobs/a']);
    expect(JSON.stringify(keyless.outcome)).toContain('api_key_missing');
    expect(gateway.logLines().filter(({ message }) => String(message).startsWith('Admin: API key'))).toEqual([
      expect.objectContaining({ message: 'Admin: API key created', apiKey: id, apiKeyOwner: 'billing' }),
      expect.objectContaining({ message: 'Admin: API key rotated', apiKey: id }),
      expect.objectContaining({ message: 'Admin: API key changed', apiKey: id }),
      expect.objectContaining({ message: 'Admin: API key revoked', apiKey: id }),
    ]);
  }
  // The gateway has looked at its log and metrics as it was stopped.
  const spans = collector.requests.map(({ body }) => String(body)).join('');
  expect(spans).toContain('fafkey_');
  expect({ shown: secretsIn(shown), spans: secretsIn(spans) }).toEqual({ shown: [], spans: [] });
});
