/** Fields that apply to a single connection and are never forwarded (RFC 9110 section 7.6.1). */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-authentication-info',
]);

/** Fields that say where a message ends or for which host it is. A `Connection` field cannot remove them. */
const UNREMOVABLE: ReadonlySet<string> = new Set(['host', 'content-length']);

const NOTHING: ReadonlySet<string> = new Set();

export function isHopByHop(lowerCaseName: string): boolean {
  return HOP_BY_HOP.has(lowerCaseName);
}

/** The field names in `Connection`, which apply to this connection only, in lower case. */
export function connectionOptions(connection: string | undefined): ReadonlySet<string> {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return NOTHING;
  const names = new Set<string>();
  for (const option of connection.split(',')) {
    const name = option.trim().toLowerCase();
    if (!UNREMOVABLE.has(name)) names.add(name);
  }
  return names;
}
