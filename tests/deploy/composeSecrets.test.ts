import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readCompose } from '../support/deploy/compose.ts';

const ROOT = join(import.meta.dirname, '../..');
const FILES = Object.values(readCompose('docker-compose.yaml').secrets).map(({ file = '' }) => file);
/** The first line of commands at the head of the file: it makes the secrets. */
const [, COMMAND = ''] =
  /^# {3}(.*secrets.*)$/m.exec(readFileSync(join(ROOT, 'docker-compose.yaml'), 'utf8')) ?? [];
/** Users of the containers: gateway, Redis, Grafana. */
const CONTAINER_USERS = [1000, 999, 472];

let project: string;
beforeEach(() => {
  project = mkdtempSync(join(tmpdir(), 'gateway-secrets-'));
  // Open, so that nothing but the directory of the secrets closes them.
  chmodSync(project, 0o755);
  cpSync(join(ROOT, 'deploy'), join(project, 'deploy'), { recursive: true });
});
afterEach(() => rmSync(project, { recursive: true }));

/** Runs the documented command under a umask, and resolves to what it printed. */
function makeSecrets(umask = '022'): string {
  return execFileSync('sh', ['-c', `umask ${umask}; ${COMMAND}`], { cwd: project, encoding: 'utf8' });
}

const contents = () => FILES.map((file) => readFileSync(join(project, file), 'utf8'));

/** What a container's user reads where Compose has mounted the file, which keeps its owner and mode. */
function readMounted(file: string, user: number): string {
  const mounted = join(project, 'mounted');
  writeFileSync(mounted, '');
  const script = 'mount --bind "$1" "$2" && exec setpriv --reuid "$3" --regid "$3" --clear-groups cat "$2"';
  const args = ['--mount', 'sh', '-c', script, 'sh', join(project, file), mounted, String(user)];
  return execFileSync('unshare', args, { encoding: 'utf8' });
}

describe('the command that makes the secrets of docker-compose.yaml', () => {
  it.each(['077', '022', '000'])(
    'lets containers read them, and nobody else here, with umask %s',
    (umask) => {
      makeSecrets(umask);
      const secrets = contents();
      for (const [index, file] of FILES.entries()) {
        for (const user of CONTAINER_USERS) expect(readMounted(file, user)).toBe(secrets[index]);
        const directly = ['--reuid', '1000', '--regid', '1000', '--clear-groups', 'cat', join(project, file)];
        expect(() => execFileSync('setpriv', directly, { stdio: 'pipe' })).toThrow('Permission denied');
      }
      expect(statSync(join(project, 'secrets')).mode & 0o777).toBe(0o700);
    },
  );

  it('makes each of 48 random bytes, says which it made, and prints none', () => {
    const printed = makeSecrets();
    const secrets = contents();
    expect(new Set(secrets).size).toBe(FILES.length);
    for (const secret of secrets) {
      expect(Buffer.from(secret, 'base64')).toHaveLength(48);
      expect(printed).not.toContain(secret.trim());
    }
    expect(printed).toBe(FILES.map((file) => `${file.slice(2)}: made\n`).join(''));
  });

  it('leaves those that exist as they are, and opens them to the containers', () => {
    const [first = '', ...others] = FILES;
    mkdirSync(join(project, 'secrets'));
    writeFileSync(join(project, first), 'my own', { mode: 0o600 });
    expect(makeSecrets('077')).toContain(`${first.slice(2)}: kept\n${others[0]?.slice(2)}: made\n`);
    expect(readMounted(first, 1000)).toBe('my own');
    const before = contents();
    makeSecrets();
    expect(contents()).toEqual(before);
  });

  it('does not take an empty file, or the directory that an engine has made, for a secret', () => {
    const [first = ''] = FILES;
    mkdirSync(join(project, 'secrets'));
    writeFileSync(join(project, first), '\n');
    expect(() => makeSecrets()).toThrow(`${first.slice(2)} is empty`);
    rmSync(join(project, first));
    mkdirSync(join(project, first));
    expect(() => makeSecrets()).toThrow(`${first.slice(2)} is a directory`);
  });

  it('is what `npm run secrets` runs', () => {
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    expect(scripts.secrets).toBe(COMMAND);
  });
});
