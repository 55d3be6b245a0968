import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { RequestListener } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  credentials,
  type GatewayProcess,
  PORTS,
  startGatewayProcess,
} from '../support/gateway/gatewayProcess.ts';
import { ensureCommand, INSTALLS_WITHIN_MS, type Ran, run } from '../support/processes/command.ts';
import { startService } from '../support/upstreams/service.ts';
import { startUpstream, type Upstream } from '../support/upstreams/upstream.ts';

/** From here on curl waits for `100 Continue` before it sends content. */
const EXPECTS_FROM_BYTES = 2 ** 20;
const CONTENT = randomBytes(2 * EXPECTS_FROM_BYTES);
const SUNK = { bytes: CONTENT.length, sha256: createHash('sha256').update(CONTENT).digest('hex') };
const TEXT = 'the same line again and again\n'.repeat(1_000);

const stack = new AsyncDisposableStack();
let gateway: GatewayProcess;
let files: Upstream;
let directory: string;
let contentFile: string;

/** A service that compresses for those who ask, and answers with parts of a text. */
const serveText: RequestListener = (req, res) => {
  const range = /^bytes=(\d+)-(\d+)$/.exec(req.headers.range ?? '');
  if (req.url === '/moved') {
    res.writeHead(307, { Location: '/files/text' }).end();
  } else if (range) {
    const [first, last] = [Number(range[1]), Number(range[2])];
    const headers = { 'Content-Range': `bytes ${first}-${last}/${TEXT.length}` };
    res.writeHead(206, headers).end(TEXT.slice(first, last + 1));
  } else if (req.headers['accept-encoding']?.includes('gzip')) {
    res.writeHead(200, { 'Content-Encoding': 'gzip', Vary: 'Accept-Encoding' }).end(gzipSync(TEXT));
  } else {
    res.writeHead(200, { Vary: 'Accept-Encoding' }).end(TEXT);
  }
};

beforeAll(async () => {
  ensureCommand('curl', 'curl');
  directory = mkdtempSync(join(tmpdir(), 'gateway-curl-'));
  stack.defer(() => rmSync(directory, { recursive: true }));
  contentFile = join(directory, 'content');
  writeFileSync(contentFile, CONTENT);
  files = stack.use(await startUpstream(serveText));
  const budgeting = stack.use(await startService('budgeting'));
  gateway = stack.use(
    await startGatewayProcess({ services: { '/budgeting': [budgeting], '/files': [files] } }),
  );
}, INSTALLS_WITHIN_MS);

afterAll(() => stack.disposeAsync());

describe.each(PORTS)('curl through the %s port', (port) => {
  const url = (path: string) => gateway.url(port, path);

  function curl(args: readonly string[], input?: Buffer): Promise<Ran> {
    const fields = Object.entries(credentials(port)).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
    // Loopback only: a proxy of the machine has no say here.
    return run('curl', ['-sS', '--noproxy', '*', ...fields, ...args], { input });
  }

  async function curlJson(args: readonly string[], input?: Buffer): Promise<unknown> {
    return JSON.parse((await curl(args, input)).stdout.toString());
  }

  it('gets', async () => {
    const { stdout } = await curl(['-w', ' %{http_code} %{content_type}', url('/files/text')]);
    expect(stdout.toString()).toBe(`${TEXT} 200 `);
  });

  it('posts more than 1 MiB, for which it waits for 100 Continue', async () => {
    const { stdout, stderr } = await curl(['-v', '--data-binary', `@${contentFile}`, url('/budgeting/sink')]);
    expect(stderr).toMatch(/^> Expect: 100-continue\r$/m);
    expect(stderr).toMatch(/^< HTTP\/1.1 100 Continue\r$/m);
    expect(JSON.parse(stdout.toString())).toEqual(SUNK);
  });

  it('uploads a file by PUT', async () => {
    expect(await curlJson(['-T', contentFile, url('/budgeting/sink')])).toEqual(SUNK);
  });

  it('uploads a stream of unknown length', async () => {
    const { stdout, stderr } = await curl(['-v', '-T', '-', url('/budgeting/sink')], CONTENT);
    expect(stderr).toMatch(/^> Transfer-Encoding: chunked\r$/m);
    expect(JSON.parse(stdout.toString())).toEqual(SUNK);
  });

  it('sends a form with a file', async () => {
    const { bytes } = (await curlJson(['-F', `file=@${contentFile}`, url('/budgeting/sink')])) as typeof SUNK;
    expect(bytes).toBeGreaterThan(CONTENT.length);
  });

  it('asks for the head only', async () => {
    const { stdout } = await curl(['--head', url('/budgeting/bytes/123456')]);
    expect(stdout.toString()).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(stdout.toString()).toMatch(/^Content-Length: 123456\r$/m);
  });

  it('speaks HTTP/1.0, which knows no chunks', async () => {
    const { stdout } = await curl(['--http1.0', '-i', url('/budgeting/stream?chunks=3&ms=0')]);
    const [head = '', body] = stdout.toString().split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1.1 200 OK\r\n/);
    expect(head).not.toMatch(/^transfer-encoding/im);
    expect(body).toBe('chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n');
  });

  it('offers HTTP/2 and goes on in HTTP/1.1', async () => {
    const { stdout } = await curl(['--http2', '-w', ' %{http_version} %{http_code}', url('/files/text')]);
    expect(stdout.toString()).toBe(`${TEXT} 1.1 200`);
  });

  it('offers HTTP/2 with content', async () => {
    const posted = await curlJson(['--http2', '--data-binary', `@${contentFile}`, url('/budgeting/sink')]);
    expect(posted).toEqual(SUNK);
  });

  it.each([
    ['a download', [], '/files/text'],
    ['an upload', ['-T', '-'], '/budgeting/sink'],
    ['an error', [], '/nobody'],
  ])('uses its connection again after %s', async (_what, args, path) => {
    const twice = [1, 2].flatMap(() => [...args, '-o', '/dev/null', url(path)]);
    const { stdout } = await curl(['-w', '%{num_connects} ', ...twice], CONTENT);
    expect(stdout.toString()).toBe('1 0 ');
  });

  it('takes compressed answers', async () => {
    const { stdout, stderr } = await curl(['-v', '--compressed', url('/files/text')]);
    expect(stderr).toMatch(/^< Content-Encoding: gzip\r$/m);
    expect(stdout.toString()).toBe(TEXT);
  });

  it('asks for a range', async () => {
    const { stdout, stderr } = await curl(['-v', '-r', '100-199', url('/files/text')]);
    expect(stderr).toMatch(/^< HTTP\/1.1 206 Partial Content\r$/m);
    expect(stderr).toMatch(new RegExp(`^< Content-Range: bytes 100-199/${TEXT.length}\r$`, 'm'));
    expect(stdout.toString()).toBe(TEXT.slice(100, 200));
  });

  it('follows a redirection', async () => {
    const { stdout } = await curl([
      '--location',
      '-o',
      '/dev/null',
      '-w',
      '%{num_redirects}',
      url('/files/moved'),
    ]);
    expect(stdout.toString()).toBe('1');
  });

  it.each([
    '/files/../budgeting/health',
    '/files/%2e%2e/budgeting/health',
    '/files/./text',
    '/files/..%2fbudgeting',
  ])('is refused dot segments: %s', async (path) => {
    const before = files.requests.length;
    const answer = await curlJson(['--path-as-is', url(path)]);
    expect(answer).toMatchObject({ status: 400, code: 'bad_request' });
    expect(files.requests).toHaveLength(before);
  });
});
