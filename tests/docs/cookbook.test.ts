import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readGatewayFile } from '../../config/file/gatewayFile.ts';
import { type RawResponse, sendRaw } from '../support/clients/rawClient.ts';
import { startGateway, type TestGateway, tokenFor } from '../support/gateway/gateway.ts';
import { privateFiles, type Recipe, readCookbook } from '../support/processes/cookbook.ts';
import { startTlsService } from '../support/upstreams/tls/service.ts';
import { startUpstream } from '../support/upstreams/upstream.ts';

/** A file to copy from is one that fits on a screen. */
const MOST_LINES = 15;
/** Where services are, for a reader: the test starts one in the place of each. */
const UPSTREAM = /http:\/\/([a-z-]+):8080/g;
/** The same over TLS. */
const TLS_UPSTREAM = /https:\/\/([a-z-]+):8443/g;
/** Where files beside that of the gateway are, for a reader: the test has its own. */
const PEM = /\/etc\/faf\/([a-z]+\.(?:pem|key))/g;

const { files, server } = privateFiles();

const recipes = readCookbook(textOf('docs/cookbook.md'));
/** Examples of the reference; what is indented is part of a file. */
const examples = [
  ...readCookbook(textOf('docs/routes.md')),
  ...readCookbook(textOf('docs/services.md')),
].filter(({ yaml }) => !yaml.startsWith(' '));

function textOf(page: string): string {
  return readFileSync(new URL(`../../${page}`, import.meta.url), 'utf8');
}

/** What is wrong with a file of this text. */
function problemsOf(yaml: string): readonly string[] {
  const readFile = (path: string) => files[basename(path)] ?? yaml;
  return readGatewayFile({ path: 'gateway.yaml', env: { SHARING_CREDENTIALS: 'x' }, readFile }).problems;
}

it('the cookbook has recipes, and each says what happens', () => {
  expect(recipes.length).toBeGreaterThan(8);
  expect(recipes.filter(({ requests }) => requests.length === 0)).toEqual([]);
});

it('the cookbook begins with a table of all its recipes', () => {
  const page = textOf('docs/cookbook.md');
  const [table = ''] = page.split('\n## ');
  const headings = Array.from(page.matchAll(/^## (.*)$/gm), ([, heading = '']) => heading);
  expect(headings.filter((heading) => !table.includes(`[${heading}](#`))).toEqual([]);
});

it.each([...recipes, ...examples])('$title: a file that starts as it stands', ({ yaml }) => {
  expect(problemsOf(yaml)).toEqual([]);
});

it.each(recipes)('$title: fits on a screen', ({ yaml }) => {
  expect(yaml.trim().split('\n').length).toBeLessThanOrEqual(MOST_LINES);
});

it('so is the file of the playground', () => {
  expect(problemsOf(textOf('playground/gateway.yaml'))).toEqual([]);
});

/** What the reference says of its examples is tried as well, where it says it in the same way. */
const told = examples.filter(({ requests }) => requests.length > 0);

/** What a test asks of a service. */
interface Started {
  readonly url: URL;
  readonly requests: readonly { readonly target: string }[];
}

describe.each([...recipes, ...told])('$title', ({ yaml, requests }: Recipe) => {
  const stack = new AsyncDisposableStack();
  const services = new Map<string, Started>();
  /** What the gateway asks for by itself, whenever it likes. */
  const probed = /health: \{ path: ([^ ,}]+)/.exec(yaml)?.[1];
  let gateway: TestGateway;

  beforeAll(async () => {
    const directory = mkdtempSync(join(tmpdir(), 'cookbook-'));
    stack.defer(() => rmSync(directory, { recursive: true }));
    for (const [, name = ''] of yaml.matchAll(UPSTREAM)) services.set(name, stack.use(await startUpstream()));
    const mutual = { ...server, ca: files['ca.pem'], requestCert: true, rejectUnauthorized: true };
    for (const [, name = ''] of yaml.matchAll(TLS_UPSTREAM))
      services.set(name, stack.use(await startTlsService(mutual)));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    const path = join(directory, 'gateway.yaml');
    const here = (_all: string, name: string) => services.get(name)?.url.origin ?? '';
    const written = yaml.replaceAll(UPSTREAM, here).replaceAll(TLS_UPSTREAM, here);
    writeFileSync(
      path,
      written.replaceAll(PEM, (_all, name) => join(directory, name)),
    );
    gateway = stack.use(await startGateway({ services: {}, env: { GATEWAY_FILE: path } }));
  });
  afterAll(() => stack.disposeAsync());

  it.each(requests)('$given: $then', async ({ request, response }) => {
    const before = new Map(Array.from(services, ([name, { requests }]) => [name, requests.length]));
    const answer = await sendRaw(gateway.external, request.text(tokenFor('ann', request.claims)));
    expect(answer.status).toBe(response.status);
    expectFields(answer, response.fields);
    if (response.code) expect(JSON.parse(answer.body).code).toBe(response.code);
    const asked = Array.from(services, ([name, { requests }]) => [
      name,
      requests
        .slice(before.get(name))
        .map(({ target }) => target)
        .filter((target) => target !== probed),
    ]);
    const expected = Array.from(services.keys(), (name) => [
      name,
      response.service === name ? [response.target] : [],
    ]);
    expect(asked).toEqual(expected);
  });
});

function expectFields(answer: RawResponse, fields: Readonly<Record<string, string | undefined>>): void {
  for (const [name, value] of Object.entries(fields))
    expect([name, answer.field(name)]).toEqual([name, value]);
}
