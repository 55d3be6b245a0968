import { statSync } from 'node:fs';

/**
 * Notices that files were deleted or replaced while they are open. Whoever has them open goes on reading and writing
 * without an error, and nobody will ever find what was written.
 */
export class FilesInPlace {
  readonly #identities = new Map<string, string | undefined>();

  /** @param paths of files that are open; one that is not there yet is known from when it is first seen */
  constructor(paths: readonly string[]) {
    for (const path of paths) this.#identities.set(path, identityOf(path));
  }

  /** Throws when a name leads to another file than at first, or to none. Takes some microseconds. */
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

/** Without the directory: it is shown to whoever asks for readiness. */
function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}
