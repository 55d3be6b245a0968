import { statSync } from 'node:fs';

/**
 * Notices when files are deleted or replaced while they are open. The process could go on reading and writing without an
 * error, but nobody would ever find what it has written.
 */
export class FilesInPlace {
  readonly #identities = new Map<string, string | undefined>();

  /** @param paths of the open files; a file that does not exist yet is remembered when it is first seen */
  constructor(paths: readonly string[]) {
    for (const path of paths) this.#identities.set(path, identityOf(path));
  }

  /** Throws when a path leads to another file than at first, or to none. It takes some microseconds. */
  assert(): void {
    for (const [path, first] of this.#identities) {
      const now = identityOf(path);
      if (first === undefined) this.#identities.set(path, now);
      else if (now === undefined) throw new Error(`${nameOf(path)} was deleted while it is open`);
      else if (now !== first) throw new Error(`${nameOf(path)} was replaced while it is open`);
    }
  }
}

function identityOf(path: string): string | undefined {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false });
  return stats && `${stats.dev}:${stats.ino}`;
}

/** The name without the directory, because readiness shows it to anybody who asks. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
