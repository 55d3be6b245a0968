/** A reply that the gateway makes itself, instead of passing on a service's response. */
export interface Reply {
  readonly status: number;
  readonly title: string;
  /** What the client can do about it. */
  readonly detail: string;
  /** The proxy error type of RFC 9209 section 2.3. */
  readonly proxyError: string;
}

/** One row of a table of replies. */
export function reply(status: number, title: string, detail: string, proxyError: string): Reply {
  return { status, title, detail, proxyError };
}
