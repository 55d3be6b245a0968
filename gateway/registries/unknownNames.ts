import { withoutTask } from '../../lib/loadbalancer/registry/serviceNames.ts';

/** What a registry lists under names that no service has. */
export interface UnknownNames {
  /** Of the latest listing: how many entries each name has. Tasks of one Swarm service count as one name. */
  readonly entries: ReadonlyMap<string, number>;
  /** Takes these names of a whole listing, one for each entry, in place of those before. */
  listed(names: Iterable<string>): void;
}

/** `onNew` is told the names that the listing before did not have: each once, and again when it was gone meanwhile. */
export function unknownNames(onNew: (names: readonly string[]) => void): UnknownNames {
  let entries = new Map<string, number>();
  return {
    get entries() {
      return entries;
    },
    listed(names) {
      const now = new Map<string, number>();
      for (const name of names) {
        const base = withoutTask(name);
        now.set(base, (now.get(base) ?? 0) + 1);
      }
      const fresh = [...now.keys()].filter((name) => !entries.has(name));
      entries = now;
      if (fresh.length > 0) onNew(fresh);
    },
  };
}
