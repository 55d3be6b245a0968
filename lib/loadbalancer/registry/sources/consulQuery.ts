import axios, { type AxiosInstance } from 'axios';
import { RegistryError } from '../registryError.ts';

/** How long Consul may hold a response back until something changes. It adds up to a sixteenth of that. */
const WAIT_MS = 60_000;
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024;

export interface ConsulOptions {
  /** `http://consul:8500`. */
  readonly url: string;
  /** For a response that Consul need not hold back. */
  readonly timeoutMs: number;
  /** An ACL token. */
  readonly token?: string | undefined;
}

/** One of Consul's blocking queries: from the second call on, `next` takes until something has changed, or a minute. */
export class ConsulQuery {
  readonly #timeoutMs: number;
  readonly #http: AxiosInstance;
  readonly #url: string;
  readonly #closing = new AbortController();
  #index = 0;

  /** `path` is that of the API: `/v1/catalog/services`. */
  constructor(path: string, { url, timeoutMs, token }: Readonly<ConsulOptions>) {
    this.#timeoutMs = timeoutMs;
    this.#url = url + path;
    this.#http = axios.create({
      headers: token === undefined ? {} : { 'X-Consul-Token': token },
      proxy: false,
      maxRedirects: 0,
      maxContentLength: MAX_RESPONSE_BYTES,
      signal: this.#closing.signal,
    });
  }

  /** What `read` makes of the next response. Rejects with `RegistryError`, also when `read` throws. */
  async next<T>(read: (body: unknown) => T): Promise<T> {
    const waits = this.#index > 0;
    const params = waits ? { index: this.#index, wait: `${WAIT_MS}ms` } : {};
    const timeout = waits ? WAIT_MS * (17 / 16) + this.#timeoutMs : this.#timeoutMs;
    try {
      const { data, headers } = await this.#http.get<unknown>(this.#url, { params, timeout });
      this.#index = nextIndex(this.#index, headers['x-consul-index']);
      return read(data);
    } catch (error) {
      // Whatever happened there meanwhile: ask for all of it.
      this.#index = 0;
      throw new RegistryError(`GET ${this.#url}`, error);
    }
  }

  /** Ends the call under way. */
  close(): void {
    this.#closing.abort();
  }
}

/** Consul's rules for clients: an index that went back, or is none, means to begin anew. */
function nextIndex(known: number, field: unknown): number {
  const index = Number(field);
  return Number.isSafeInteger(index) && index > 0 && index >= known ? index : 0;
}
