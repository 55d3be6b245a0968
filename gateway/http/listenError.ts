/** The gateway cannot listen where its settings say. The message names the setting and says what to do. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  readonly code = 'cannot_listen';

  /** @param setting the prefix of the setting's name: `EXTERNAL`, `INTERNAL` or `HTTP`, which has the host of `EXTERNAL` */
  constructor(setting: string, port: number, host: string, cause: NodeJS.ErrnoException) {
    super(explain(setting, port, host, cause.code), { cause });
  }
}

function explain(setting: string, port: number, host: string, code = 'unknown reason'): string {
  const hostSetting = `${setting === 'HTTP' ? 'EXTERNAL' : setting}_HOST`;
  switch (code) {
    case 'EADDRINUSE':
      return `${setting}_PORT is "${port}", but something else listens there: stop it, or set another port`;
    case 'EACCES':
      return `${setting}_PORT is "${port}": expected a port that this user may listen on, such as one above 1023`;
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `${hostSetting} is "${host}": expected an address of this machine`;
    default:
      return `${setting}_PORT "${port}" of ${hostSetting} "${host}" cannot be listened on (${code})`;
  }
}
