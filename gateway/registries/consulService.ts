import type { Service } from '../../config/sections/services.ts';
import type { Discovery } from '../../lib/loadbalancer/registry/discovery.ts';
import type { ListedReplica } from '../../lib/loadbalancer/registry/listing.ts';
import type { ConsulSource } from '../../lib/loadbalancer/registry/sources/consulSource.ts';

export interface ConsulServiceOptions {
  readonly service: Service;
  /** Makes a source that asks Consul for this name. */
  readonly sourceOf: (consulName: string) => ConsulSource;
  readonly discover: (
    source: ConsulSource,
    onListing: (listed: readonly ListedReplica[]) => void,
  ) => Discovery;
  /** Called with all listed replicas, whatever name they are listed under. */
  readonly onListing: (listed: readonly ListedReplica[]) => void;
}

interface Look {
  readonly source: ConsulSource;
  readonly discovery: Discovery;
  listed: readonly ListedReplica[];
}

/**
 * The replicas of one service under all its names in Consul: always its own, and others as long as the catalog has
 * them.
 */
export class ConsulService {
  readonly #options: ConsulServiceOptions;
  readonly #looks = new Map<string, Look>();

  constructor(options: Readonly<ConsulServiceOptions>) {
    this.#options = options;
  }

  /** Whether Consul was asked once for every name. */
  get asked(): boolean {
    return this.#looks.values().every(({ discovery }) => discovery.firstRoundOver);
  }

  /** Resolves when Consul was asked once for every new name; never rejects. */
  async follow(names: Iterable<string>): Promise<void> {
    const wanted = new Set([this.#options.service.name, ...names]);
    const gone = [...this.#looks].filter(([name]) => !wanted.has(name));
    for (const [name, look] of gone) {
      end(look);
      this.#looks.delete(name);
    }
    // Consul removes a name along with its last replica, and the query for that name may not have reported this yet.
    if (gone.length > 0) this.#report();
    await Promise.all(Array.from(wanted, (name) => this.#lookAt(name).discovery.start()));
  }

  stop(): void {
    for (const look of this.#looks.values()) end(look);
  }

  #lookAt(name: string): Look {
    const known = this.#looks.get(name);
    if (known) return known;
    const source = this.#options.sourceOf(name);
    const discovery = this.#options.discover(source, (listed) => {
      look.listed = listed;
      this.#report();
    });
    const look: Look = { source, discovery, listed: [] };
    this.#looks.set(name, look);
    return look;
  }

  #report(): void {
    this.#options.onListing([...this.#looks.values()].flatMap(({ listed }) => listed));
  }
}

function end({ source, discovery }: Look): void {
  discovery.stop();
  source.close();
}
