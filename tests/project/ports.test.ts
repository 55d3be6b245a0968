import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';

const TESTS = join(import.meta.dirname, '..');
/** The gateway of the stack is where its compose file says, in a network namespace of its own. */
const IN_THEIR_OWN_NETWORK = ['integration/routing/stack.test.ts', 'support/stack/world.ts'];
/** Ways to say where something is going to listen. */
const FIXED_PORT =
  /\.(?:listen|bind)\(\s*[1-9]|\.listen\(\{[^}]*\bport: *[1-9]|--(?:[a-z]+-)?port[= '",]+[1-9]\d{2,}|\b(?:EXTERNAL|INTERNAL)_PORT: *'?[1-9]\d{2,3}\b/g;

const fixedPorts = (text: string) => [...text.matchAll(FIXED_PORT)].map(([found]) => found);

it('no test has anything listen on a port that it has chosen itself', () => {
  const files = globSync('**/*.{ts,mjs}', { cwd: TESTS }).filter(
    (file) => !IN_THEIR_OWN_NETWORK.includes(file) && !/^(config|playground|project|original)\//.test(file),
  );
  expect(files.length).toBeGreaterThan(300);
  const found = files.map((file) => [file, fixedPorts(readFileSync(join(TESTS, file), 'utf8'))] as const);
  expect(found.filter(([, ports]) => ports.length > 0)).toEqual([]);
});

it.each([
  'server.listen(8080)',
  "server.listen({ host: '127.0.0.1', port: 9000 })",
  "['--port', '6379']",
  "'--base-port=8080'",
  "EXTERNAL_PORT: '8000'",
])('%s would be found', (text) => expect(fixedPorts(text)).toHaveLength(1));
