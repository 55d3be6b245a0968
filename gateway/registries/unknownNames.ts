import { withoutTask } from '../../lib/loadbalancer/registry/serviceNames.ts';

/** The names in a registry's listing that no service has. */
export interface UnknownNames {
  /** How many entries each name has in the latest listing. Tasks of one Swarm service count as one name. */
  readonly entries: ReadonlyMap<string, number>;
  /** Sets the unknown names of a whole listing, one for each entry. They replace those of the listing before. */
  listed(names: Iterable<string>): void;
}

/** @param onNew called with the names that were not in the listing before */
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
