import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ExpectedError } from '../../config/commandLine/run.ts';
import { modulePath } from '../machine/modulePath.ts';

const ROOT = modulePath('..');
const MAIN = 'main';

/** A commit's files in a folder of their own. */
export interface Checkout extends Disposable {
  readonly directory: string;
  /** Its abbreviated hash and subject. */
  readonly title: string;
  /** Whether this node_modules has other packages than the commit asks for. */
  readonly hasOtherPackages: boolean;
}

/** Checks a commit out into a temporary folder, with node_modules linked. Throws `ExpectedError` when there is none. */
export function checkOut(commit: string | undefined): Checkout {
  const hash = commit === undefined ? standardCommit() : hashOf(commit);
  const parent = mkdtempSync(join(tmpdir(), 'gateway-guard-'));
  const directory = join(parent, 'before');
  git('worktree', 'add', '--detach', '--quiet', directory, hash);
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'));
  const lock = (folder: string) => readFileSync(join(folder, 'package-lock.json'), 'utf8');
  const remove = () => {
    process.off('exit', remove);
    git('worktree', 'remove', '--force', directory);
    rmSync(parent, { recursive: true, force: true });
  };
  // A signal ends the process without giving anything back.
  process.once('exit', remove);
  return {
    directory,
    title: git('log', '-1', '--format=%h %s', hash),
    hasOtherPackages: lock(ROOT) !== lock(directory),
    [Symbol.dispose]: remove,
  };
}

/** Where this branch left main; the commit before HEAD where that is HEAD itself or there is no main. */
function standardCommit(): string {
  const head = hashOf('HEAD');
  const base = hasBranch(MAIN) ? git('merge-base', 'HEAD', MAIN) : head;
  return base === head ? hashOf('HEAD~1') : base;
}

function hasBranch(name: string): boolean {
  return git('branch', '--list', name) !== '';
}

function hashOf(commit: string): string {
  try {
    return git('rev-parse', '--verify', '--quiet', `${commit}^{commit}`);
  } catch (error) {
    throw new ExpectedError(`git knows no commit ${JSON.stringify(commit)} here`, { cause: error });
  }
}

function git(...args: string[]): string {
  return execFileSync('git', args, {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }).trim();
}
