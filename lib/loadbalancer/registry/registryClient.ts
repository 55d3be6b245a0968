import type { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import axios, { type AxiosInstance, type AxiosResponse } from 'axios';
import { type Clock, systemClock } from '../../clock/clock.ts';
import { http } from '../../http/nodeHttp.ts';
import { type ListedReplica, type Listing, parseListing } from './listing.ts';
import type { Registered } from './registered.ts';
import { RegistryError } from './registryError.ts';
import type { RegistryForm } from './registryForms.ts';

const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;
const COUNTING = 'increment-count';

export interface RegistryClientOptions {
  /** `http://service-discovery:9000` or a path below it. */
  readonly url: string;
  /** For a whole call, from the connection to the last byte of the response. */
  readonly timeoutMs: number;
  /**
   * At least one; each template must hold `{id}` or `{host}`. Where the registry has given no id, `{id}` is the host, as
   * it was for the original. Of several, the one that the registry accepted last is used: a call that it refuses is made
   * in the others' form too.
   */
  readonly forms: readonly RegistryForm[];
  readonly clock?: Clock;
}

export interface RegistryListing extends Listing {
  /** Whether the registry takes counts: `X-Registry-Features: increment-count`. */
  readonly countsIncrements: boolean;
}

/** The calls of the service registry. Every method rejects with `RegistryError`; none tries again. */
export class RegistryClient {
  readonly #options: Readonly<RegistryClientOptions>;
  readonly #address: string;
  readonly #clock: Clock;
  readonly #agent: Agent;
  readonly #http: AxiosInstance;
  readonly #underWay = new Set<AbortController>();
  #listed: readonly ListedReplica[] = [];
  #countsIncrements = false;
  /** The one that the registry accepted last comes first. */
  #forms: readonly RegistryForm[];
  #closed = false;

  constructor(options: Readonly<RegistryClientOptions>) {
    const { protocol, origin, pathname } = new URL(options.url);
    if (options.forms.length === 0) throw new TypeError('RegistryClient: forms must hold one at least');
    for (const { increment, deregister } of options.forms) [increment, deregister].forEach(assertTemplate);
    this.#options = options;
    this.#forms = options.forms;
    this.#address = origin + pathname.replace(/\/+$/, '');
    this.#clock = options.clock ?? systemClock;
    this.#agent = new (protocol === 'https:' ? TlsAgent : http.Agent)({ keepAlive: true });
    this.#http = axios.create({
      auth: credentialsIn(options.url),
      httpAgent: this.#agent,
      httpsAgent: this.#agent,
      // The registry is on the same network: neither HTTP_PROXY nor a redirect may lead anywhere else.
      proxy: false,
      maxRedirects: 0,
      maxContentLength: MAX_RESPONSE_BYTES,
    });
  }

  /** Whether the registry said so in its latest listing. */
  get countsIncrements(): boolean {
    return this.#countsIncrements;
  }

  async list(): Promise<RegistryListing> {
    const { data, headers } = await this.#call('GET', '/services');
    const features = String(headers['x-registry-features'] ?? '').split(',');
    this.#countsIncrements = features.some((feature) => feature.trim() === COUNTING);
    try {
      const listing = parseListing(data);
      this.#listed = listing.listed;
      return { ...listing, countsIncrements: this.#countsIncrements };
    } catch (error) {
      throw new RegistryError(`GET ${this.#address}/services`, error);
    }
  }

  /** Says that `count` more requests were sent to the replica. */
  async increment(replica: Registered, count = 1): Promise<void> {
    await this.#tell('PUT', ({ increment }) => {
      const path = fill(increment, replica);
      return count === 1 ? path : `${path}${path.includes('?') ? '&' : '?'}count=${count}`;
    });
  }

  async deregister(replica: Registered): Promise<void> {
    await this.#tell('DELETE', ({ deregister }) => fill(deregister, replica));
  }

  /** What `deregister` calls, for logs. */
  deregisterUrl(replica: Registered): string {
    return this.#address + this.#deregisterPath(replica);
  }

  /** Whether `deregister` would name another one of its latest listing, of whatever service, as well. */
  namesAnother(replica: Registered): boolean {
    const path = this.#deregisterPath(replica);
    return this.#listed.some(
      ({ registered }) => registered.tag !== replica.tag && this.#deregisterPath(registered) === path,
    );
  }

  /** Ends the calls under way and refuses new ones. */
  close(): void {
    this.#closed = true;
    for (const call of this.#underWay) call.abort(closedError());
    this.#agent.destroy();
  }

  #deregisterPath(replica: Registered): string {
    return fill((this.#forms[0] as RegistryForm).deregister, replica);
  }

  /** Rejects with the registry's response to the form that it accepted last. */
  async #tell(method: string, pathIn: (form: RegistryForm) => string): Promise<void> {
    const refusals = new Map<string, RegistryError>();
    for (const form of this.#forms) {
      const path = pathIn(form);
      if (refusals.has(path)) continue;
      const refusal = await this.#refusalOf(method, path);
      if (!refusal) {
        this.#prefer(form);
        return;
      }
      refusals.set(path, refusal);
    }
    for (const refusal of refusals.values()) throw refusal;
  }

  /** Why the registry does not want this call, if it is there to say so. */
  async #refusalOf(method: string, path: string): Promise<RegistryError | undefined> {
    try {
      await this.#call(method, path);
      return undefined;
    } catch (error) {
      if (error instanceof RegistryError && !error.isAway) return error;
      throw error;
    }
  }

  #prefer(form: RegistryForm): void {
    if (this.#forms[0] === form) return;
    this.#forms = [form, ...this.#forms.filter((other) => other !== form)];
  }

  async #call(method: string, path: string): Promise<AxiosResponse<unknown>> {
    const { timeoutMs } = this.#options;
    const url = this.#address + path;
    const call = new AbortController();
    // axios's own timeout starts anew with every byte.
    const expire = () => call.abort(new Error(`no whole response within ${timeoutMs} ms`));
    const cancel = this.#clock.after(timeoutMs, expire);
    this.#underWay.add(call);
    try {
      if (this.#closed) throw closedError();
      return await this.#http.request({ method, url, signal: call.signal });
    } catch (error) {
      throw new RegistryError(`${method} ${url}`, call.signal.aborted ? call.signal.reason : error);
    } finally {
      cancel();
      this.#underWay.delete(call);
    }
  }
}

function assertTemplate(template: string): void {
  if (template.startsWith('/') && /\{(id|host)\}/.test(template)) return;
  throw new TypeError(
    `RegistryClient: a template must start with / and hold {id} or {host}, got "${template}"`,
  );
}

function fill(template: string, { id, host, port }: Registered): string {
  const values = { '{id}': id ?? host, '{host}': host, '{port}': String(port) };
  return template.replaceAll(/\{(?:id|host|port)\}/g, (name) =>
    encodeURIComponent(values[name as keyof typeof values].toWellFormed()),
  );
}

function credentialsIn(url: string) {
  const { username, password } = new URL(url);
  if (username === '' && password === '') return undefined;
  return { username: decodeURIComponent(username), password: decodeURIComponent(password) };
}

function closedError(): Error {
  return new Error('the client is closed');
}
