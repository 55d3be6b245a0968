const HTTPS_PORT = 443;
/** The port at the end of a `Host`, behind a name or an address in brackets. */
const PORT = /:\d*$/;

/**
 * Where a request for `host` and `target` finds the same over https. `host` must be one host, as `refusalOf` sees to; its own
 * port is that of plain HTTP and left out. `target` is a path of visible ASCII: Node's parser refuses all else.
 */
export function httpsLocation(host: string, target: string, port: number): string {
  const authority = host.replace(PORT, '') + (port === HTTPS_PORT ? '' : `:${port}`);
  return `https://${authority}${target}`;
}
