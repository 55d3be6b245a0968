// What Swarm puts behind a service's name: slot or, of a global service, node, and the task's id.
const TASK = /^(.+?)\.(?:\d{1,9}(?:\.[a-z0-9]{1,25})?|[a-z0-9]{25}\.[a-z0-9]{25})$/;

// What is longer is nobody's name, and not taken apart.
const MAX_CHARACTERS = 255;

export interface ServiceNamesOptions<T> {
  /** Each service with its name and aliases. Of two services that share a name, the first has it. */
  readonly services: Iterable<readonly [service: T, names: readonly string[]]>;
  /** The only Swarm stack whose prefix is taken off. Default: any. */
  readonly stack?: string | undefined;
}

/**
 * Finds the service that a registry means. Registries write a service's own name, an alias, or what Swarm makes of one:
 * `padstack_budgeting-service.1.k7oqrdzi84fqlnd59vy81zums`. Letter case does not count, nor does whether a name has
 * hyphens or underscores. Nothing else is ignored: `budgeting-service-v2` is not `budgeting-service`.
 */
export class ServiceNames<T> {
  readonly #exact = new Map<string, T>();
  readonly #folded = new Map<string, T>();
  readonly #stack: string | undefined;

  constructor({ services, stack }: Readonly<ServiceNamesOptions<T>>) {
    this.#stack = stack;
    for (const [service, names] of services) {
      for (const name of names) {
        add(this.#exact, name, service);
        add(this.#folded, foldName(name), service);
      }
    }
  }

  /**
   * The service of this name; undefined: none. A whole name counts before one that a stack's name precedes: where `stack`
   * says which stack that is, only if it is spelled exactly so.
   */
  find(name: string): T | undefined {
    const exact = this.#exact.get(name) ?? this.#exact.get(withoutTask(name));
    if (exact !== undefined) return exact;
    for (const spelling of nameSpellings(name, this.#stack)) {
      const service = this.#folded.get(foldName(spelling));
      if (service !== undefined) return service;
    }
    return undefined;
  }
}

function add<T>(services: Map<string, T>, name: string, service: T): void {
  if (!services.has(name)) services.set(name, service);
}

/** Equal for names that count as one. */
export function foldName(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}

/** The name without what Swarm puts behind it: one word for all tasks of a service. */
export function withoutTask(name: string): string {
  return TASK.exec(name)?.[1] ?? name;
}

/**
 * What the name may stand for, the likeliest first. Swarm joins stack and service with an underscore, which both may
 * hold as well: so the text behind each underscore is one, unless `stack` says which stack it is.
 */
export function* nameSpellings(name: string, stack?: string): Generator<string> {
  if (name.length > MAX_CHARACTERS) return;
  const base = withoutTask(name);
  const isOfStack = stack !== undefined && base.toLowerCase().startsWith(`${stack.toLowerCase()}_`);
  if (isOfStack) yield base.slice(stack.length + 1);
  yield name;
  if (base !== name) yield base;
  if (stack !== undefined) return;
  for (let at = base.indexOf('_', 1); at !== -1; at = base.indexOf('_', at + 1)) yield base.slice(at + 1);
}
