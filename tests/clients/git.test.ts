import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { fieldsByName, fieldValues } from '../../lib/http/fields.ts';
import {
  credentials,
  type GatewayProcess,
  PORTS,
  type Port,
  startGatewayProcess,
} from '../support/gateway/gatewayProcess.ts';
import { ensureCommand, INSTALLS_WITHIN_MS, run } from '../support/processes/command.ts';
import { startGitBackend } from '../support/upstreams/gitBackend.ts';
import type { Received, Upstream } from '../support/upstreams/upstream.ts';

/** Random, so that the pack is as large. Past 1 MiB (`http.postBuffer`) git sends chunks. */
const FILE_BYTES = 4 * 2 ** 20;
/** So many that git compresses the list of those it wants. */
const BRANCHES = 60;
const TESTS_TAKE_AT_MOST_MS = 30_000;

const stack = new AsyncDisposableStack();
let directory: string;
let backend: Upstream;
let gateway: GatewayProcess;
/** The bare repository of the test that runs. */
let repository: string;

beforeAll(async () => {
  ensureCommand('git', 'git');
  directory = mkdtempSync(join(tmpdir(), 'gateway-git-'));
  stack.defer(() => rmSync(directory, { recursive: true }));
  backend = stack.use(await startGitBackend(directory));
  gateway = stack.use(await startGatewayProcess({ services: { '/git': [backend] } }));
}, INSTALLS_WITHIN_MS);

beforeEach(async () => {
  repository = `${randomUUID()}.git`;
  await git(['init', '--bare', '--initial-branch=main', repository]);
});

afterAll(() => stack.disposeAsync());

/** Runs git in `folder` without what this machine's users have configured. */
async function git(args: readonly string[], folder = '.', input?: Buffer): Promise<string> {
  const env = {
    PATH: process.env.PATH,
    HOME: directory,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_TERMINAL_PROMPT: '0',
    GIT_AUTHOR_NAME: 'Ann',
    GIT_AUTHOR_EMAIL: 'ann@gateway.test',
    GIT_COMMITTER_NAME: 'Ann',
    GIT_COMMITTER_EMAIL: 'ann@gateway.test',
  };
  const { stdout } = await run('git', args, { cwd: join(directory, folder), env, input });
  return stdout.toString().trim();
}

/** The options of a git that is `subject` on this port. */
function as(port: Port, subject: string): string[] {
  return Object.entries(credentials(port, subject)).flatMap(([name, value]) => [
    '-c',
    `http.extraHeader=${name}: ${value}`,
  ]);
}

/** Clones the repository as `subject` into a new folder. */
async function clone(port: Port, subject: string): Promise<string> {
  const url = gateway.url(port, `/git/${repository}`);
  const folder = randomUUID();
  await git([...as(port, subject), 'clone', '--quiet', url, folder]);
  return folder;
}

async function commitFile(folder: string, name: string, bytes: number): Promise<string> {
  writeFileSync(join(directory, folder, name), randomBytes(bytes));
  await git(['add', name], folder);
  await git(['commit', '--quiet', '-m', `Add ${name}`], folder);
  return git(['rev-parse', 'HEAD'], folder);
}

/** As many branches, each with a commit of its own, in the language of `git fast-import`. */
function branches(count: number): string {
  const commits = Array.from(
    { length: count },
    (_, n) => `commit refs/heads/branch-${n}\ncommitter Ann <ann@gateway.test> ${n} +0000\ndata 0\n`,
  );
  return commits.join('');
}

function requestsTo(service: string): Received[] {
  return backend.requests.filter(
    ({ method, target }) => method === 'POST' && target === `/${repository}/${service}`,
  );
}

describe.each(PORTS)('git through the %s port', (port) => {
  it(
    'clones, pushes several MiB and clones again',
    async () => {
      const ann = await clone(port, 'ann');
      const head = await commitFile(ann, 'large', FILE_BYTES);
      await git([...as(port, 'ann'), 'push', '--quiet', 'origin', 'main'], ann);
      const pushed = requestsTo('git-receive-pack');
      expect(pushed.flatMap((request) => fieldValues(request.fields, 'transfer-encoding'))).toEqual([
        'chunked',
      ]);

      const bob = await clone(port, 'bob');
      expect(await git(['rev-parse', 'HEAD'], bob)).toBe(head);
      await git(['fsck', '--strict'], bob);
      expect(existsSync(join(directory, bob, 'large'))).toBe(true);
    },
    TESTS_TAKE_AT_MOST_MS,
  );

  it(
    'clones with a long, compressed list of what it wants',
    async () => {
      await git(['fast-import', '--quiet'], repository, Buffer.from(branches(BRANCHES)));
      const ann = await clone(port, 'ann');
      const cloned = await git(['branch', '--remotes', '--list', 'origin/branch-*'], ann);
      expect(cloned.split('\n')).toHaveLength(BRANCHES);
      const asked = requestsTo('git-upload-pack');
      expect(asked.flatMap(({ fields }) => fieldValues(fields, 'content-encoding'))).toEqual(['gzip']);
    },
    TESTS_TAKE_AT_MOST_MS,
  );
});

it('git without a token is asked who it is, and the service does not hear of it', async () => {
  const cloning = git(['clone', gateway.url('external', `/git/${repository}`)]);
  await expect(cloning).rejects.toThrow(/could not read Username/);
  expect(backend.requests.filter(({ target }) => target.includes(repository))).toEqual([]);
});

it('the service learns who pushes, not with which token', async () => {
  const ann = await clone('external', 'ann');
  await commitFile(ann, 'file', 10);
  await git([...as('external', 'ann'), 'push', '--quiet', 'origin', 'main'], ann);
  const pushed = requestsTo('git-receive-pack').map(({ fields }) => fieldsByName(fields));
  expect(pushed).toEqual([expect.objectContaining({ 'x-auth-subject': 'ann' })]);
  expect(pushed[0]).not.toHaveProperty('authorization');
});
