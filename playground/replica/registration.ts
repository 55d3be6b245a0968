import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';

/** The heartbeat: a replica that was deregistered is back within this time, and in use if it is well. */
const CHECK_EVERY_MS = 3000;
const CALL_TIMEOUT_MS = 2000;

/** What is looked at of those that the registry lists: nobody may be `null`. */
const LISTED = z.array(z.object({ host: z.string() })).nullable();

/** What a service tells the registry about itself. */
export interface RegistrationEntry {
  /** The service's name in the registry, for example `user-management`. */
  readonly name: string;
  /** The replica id. */
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly health_check: string;
}

export interface RegistrationOptions {
  readonly registryUrl: string;
  readonly entry: RegistrationEntry;
  /** Takes a line for people whenever something changes. */
  readonly print: (line: string) => void;
  /** How long it trusts to be listed still, in milliseconds. Default: 3000. */
  readonly checkEveryMs?: number;
}

/** A replica's place in the registry. Registering anew gives another id and count: it is done only where that is lost. */
export class Registration {
  readonly #registryUrl: string;
  readonly #entry: RegistrationEntry;
  readonly #print: (line: string) => void;
  readonly #checkEveryMs: number;
  #state: 'new' | 'listed' | 'unreachable' = 'new';

  constructor({ registryUrl, entry, print, checkEveryMs = CHECK_EVERY_MS }: RegistrationOptions) {
    this.#registryUrl = registryUrl;
    this.#entry = entry;
    this.#print = print;
    this.#checkEveryMs = checkEveryMs;
  }

  /** Registers, unless that is done; a registry that cannot be reached is reported, once, and not thrown. */
  async ensure(): Promise<void> {
    try {
      const isNew = this.#state === 'new';
      if (isNew || !(await this.#isListed())) {
        await this.#call('POST', '/register', JSON.stringify(this.#entry));
        if (!isNew) this.#print('was missing in the registry, registered again');
      }
      this.#state = 'listed';
    } catch (error) {
      if (this.#state !== 'unreachable') this.#print(`cannot register, trying again: ${reasonOf(error)}`);
      this.#state = 'unreachable';
    }
  }

  /** Keeps the place until `stopping` is aborted, then gives it up. */
  async keep(stopping: AbortSignal): Promise<void> {
    while (await sleptUnless(stopping, this.#checkEveryMs)) await this.ensure();
    const host = encodeURIComponent(this.#entry.host);
    // Each release of the registry reads its own of the two.
    await this.#call('DELETE', `/deregister?id=${host}&service_id=${host}`).catch(() => {});
  }

  async #isListed(): Promise<boolean> {
    const { name, host } = this.#entry;
    const listed = LISTED.parse(await this.#call('GET', `/services?name=${encodeURIComponent(name)}`));
    return listed?.some((replica) => replica.host === host) ?? false;
  }

  async #call(method: string, path: string, body?: string): Promise<unknown> {
    const answer = await fetch(this.#registryUrl + path, {
      method,
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
      ...(body !== undefined && { body, headers: { 'Content-Type': 'application/json' } }),
    });
    // Read to its end, or the connection would not be free for the next call.
    const text = await answer.text();
    if (!answer.ok) throw new Error(`the registry answers ${answer.status}`);
    return JSON.parse(text);
  }
}

async function sleptUnless(stopping: AbortSignal, ms: number): Promise<boolean> {
  await sleep(ms, undefined, { signal: stopping }).catch(() => {});
  return !stopping.aborted;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
