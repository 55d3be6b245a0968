/** The names of a replica at its registry. There is a new one when the registry lists the replica differently. */
export interface Registered {
  /** The registry's own id for it, if it has one. It may change with any listing. */
  readonly id: string | undefined;
  /** As the registry writes it: an IPv6 address without brackets, for instance. */
  readonly host: string;
  readonly port: number;
  /** All of these as one text: equal for those that cannot be told apart. */
  readonly tag: string;
}

export function registeredAs({ id, host, port }: Omit<Registered, 'tag'>): Registered {
  return { id, host, port, tag: JSON.stringify([host, port, id]) };
}

/** For a replica of which only the address is known. */
export function registeredAt(url: URL): Registered {
  return registeredAs({ id: undefined, host: url.hostname, port: portOf(url) });
}

export function portOf({ port, protocol }: URL): number {
  return Number(port) || (protocol === 'https:' ? 443 : 80);
}

/** RFC 3986 section 3.2.2: an IPv6 address stands in brackets. */
export function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}
