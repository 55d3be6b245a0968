import { execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { unwatch } from '../support/jest/nothingPrinted.ts';
import { watchPrinted } from '../support/jest/printed.ts';
import { keepSecret, NEVER_LOGGED } from '../support/secrets.ts';

/** Prints its second argument to the output that its first names, in two pieces. */
const TALKS = `
const [output, text] = process.argv.slice(2);
process[output].write(text.slice(0, 30));
setTimeout(() => process[output].write(text.slice(30)), 50);
`;
const TOKEN = ['eyJhbGciOiJIUzI1NiJ9', 'eyJzdWIiOiJhbm4ifQ', 'c2lnbmF0dXJl'].join('.');

let directory: string;
let program: string;
let leaks: string[] = [];
let stop = () => {};

beforeAll(() => {
  // It would fail the run for what is printed here.
  unwatch();
  directory = mkdtempSync(join(tmpdir(), 'printed-'));
  mkdirSync(join(directory, 'gateway'));
  program = join(directory, 'gateway/main.ts');
  writeFileSync(program, TALKS);
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => {
  leaks = [];
  stop = watchPrinted((leak) => leaks.push(leak));
});
afterEach(() => stop());

const leaked = (secret: string) => [
  expect.stringMatching(new RegExp(`gateway/main\\.ts .* printed ${secret}$`)),
];

it.each([
  ['a token, though nobody has told of it', `seen: ${TOKEN}, alas`, TOKEN],
  ['what must never be logged', `{"url":"/x?${NEVER_LOGGED}"}`, NEVER_LOGGED],
  [
    'what a test has kept secret',
    `and ${keepSecret('a password of a test, for once')}`,
    'a password of a test, for once',
  ],
])('sees %s', async (_what, text, secret) => {
  for (const output of ['stdout', 'stderr'] as const) {
    leaks = [];
    const child = spawn(process.execPath, [program, output, text]);
    child[output].resume();
    await once(child, 'close');
    expect(leaks).toEqual(leaked(secret));
  }
});

it.each([
  ['JWT_SECRET', 'correct-horse-battery', 'correct-horse-battery'],
  ['ADMIN_TOKEN', 'an-admin-token', 'an-admin-token'],
  ['REDIS_URL', 'redis://user:pass-word@127.0.0.1', 'pass-word'],
])('sees the secret in %s of its environment', async (name, value, secret) => {
  const child = spawn(process.execPath, [program, 'stdout', `a line with ${secret} in it, and more`], {
    env: { [name]: value },
  });
  child.stdout.resume();
  await once(child, 'close');
  expect(leaks).toEqual(leaked(secret));
});

it('sees it however the process was started, and whoever reads it still gets all', async () => {
  const forked = fork(program, ['stdout', TOKEN], { execArgv: [], silent: true });
  forked.stdout?.resume();
  await once(forked, 'close');
  const { promise, resolve } = Promise.withResolvers<string>();
  execFile(process.execPath, [program, 'stdout', TOKEN], (_error, stdout) => resolve(stdout));
  expect(await promise).toBe(TOKEN);
  expect(leaks).toHaveLength(2);
});

it('lets other programs print what they like, and the gateway what is no secret', async () => {
  const args = ['--eval', TALKS, 'x', 'stdout', TOKEN];
  for (const words of [args, [program, 'stdout', 'nothing but good news: eyJ, a.b.c']]) {
    const child = spawn(process.execPath, words);
    child.stdout.resume();
    await once(child, 'close');
  }
  expect(leaks).toEqual([]);
});
