/** The offer of a browser's `new WebSocket(url, ['bearer', token, 'chat'])`, which can set no other field. */
export interface Subprotocols {
  /** The item after `bearer`. */
  readonly token: string | undefined;
  /** The list without these two. */
  readonly others: readonly string[];
}

/** Reads `Sec-WebSocket-Protocol` (RFC 6455 section 11.3.4). */
export function subprotocols(field: string | undefined): Subprotocols {
  if (field === undefined) return { token: undefined, others: [] };
  const items = field.split(',').map((item) => item.trim());
  const at = items.findIndex((item) => item.toLowerCase() === 'bearer');
  if (at === -1) return { token: undefined, others: items };
  return { token: items[at + 1], others: items.filter((_, i) => i !== at && i !== at + 1) };
}
