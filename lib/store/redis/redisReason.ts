import { ConnectionTimeoutError, ErrorReply, SocketClosedUnexpectedlyError } from 'redis';
import { DeadlineError } from '../deadline.ts';

/** What is wrong with Redis, by the code at the beginning of its error replies. */
const REPLIES: ReadonlyMap<string, string> = new Map([
  ['READONLY', 'it is a replica, which takes no writes'],
  ['MASTERDOWN', 'it is a replica that has lost its primary'],
  ['LOADING', 'it is still loading its data'],
  ['BUSY', 'it is busy with a script that somebody else runs'],
  ['UNBLOCKED', 'it has become a replica'],
  ['MOVED', 'it is a node of a cluster'],
  ['ASK', 'it is a node of a cluster'],
  ['TRYAGAIN', 'it is a node of a cluster'],
  ['CROSSSLOT', 'it is a node of a cluster'],
  ['CLUSTERDOWN', 'it is a node of a cluster that is down'],
  ['NOAUTH', 'it wants a password and got none'],
  ['WRONGPASS', 'the server refused the password, or the user name'],
  ['NOPERM', 'its ACL does not let this user do so'],
  ['MISCONF', 'it refuses writes because it cannot save its data: look at its disk and its log'],
  ['OOM', 'it refuses writes because its memory is full (maxmemory)'],
  ['NOREPLICAS', 'it refuses writes because too few replicas follow it (min-replicas-to-write)'],
]);

/** Error replies without such a code. `isFinal`: trying again is useless until somebody changes a setting. */
const PHRASES: readonly { readonly pattern: RegExp; readonly words: string; readonly isFinal: boolean }[] = [
  {
    pattern: /max number of clients/,
    words: 'it has as many clients as it may have (maxclients)',
    isFinal: false,
  },
  {
    pattern: /without any password configured/,
    words: 'the server has no password, but got one',
    isFinal: true,
  },
  {
    pattern: /SELECT is not allowed in cluster mode/,
    words: 'it is a node of a cluster, which this gateway cannot use',
    isFinal: true,
  },
  { pattern: /DB index is out of range/, words: 'it has no such database', isFinal: true },
  {
    pattern: /unknown (sub)?command.*(HELLO|TRACKING)/i,
    words: 'it is older than Redis 6',
    isFinal: true,
  },
];

/** What is wrong with the network or TLS, by the error's code. */
const CODES: ReadonlyMap<string, string> = new Map([
  ['ECONNREFUSED', 'nothing listens there'],
  ['ENOTFOUND', 'the name does not resolve'],
  ['EAI_AGAIN', 'the name does not resolve now'],
  ['ETIMEDOUT', 'the address does not answer'],
  ['EHOSTUNREACH', 'there is no way to the address'],
  ['ENETUNREACH', 'there is no way to the address'],
  ['EPROTO', 'it does not speak TLS on this port: rediss:// may have to be redis://'],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'it does not speak TLS on this port: rediss:// may have to be redis://'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', 'its certificate is for another name'],
  ['CERT_HAS_EXPIRED', 'its certificate has expired'],
]);

const CERTIFICATE = /SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|CERT_UNTRUSTED|CERT_SIGNATURE/;

/**
 * After one of these replies the other side is not, or not yet, the primary, or does not know this user. Remembered values may
 * be outdated. Only a new connection, to whichever server has the address by then, can help.
 */
const ENDS_CONNECTION: ReadonlySet<string> = new Set([
  ...['READONLY', 'MASTERDOWN', 'LOADING', 'BUSY', 'UNBLOCKED', 'NOAUTH'],
  ...['MOVED', 'ASK', 'TRYAGAIN', 'CROSSSLOT', 'CLUSTERDOWN'],
]);

/** Redis responds, but cannot be used: it is a replica, a node of a cluster, or a Sentinel. */
export class UnusableRedisError extends Error {
  override readonly name = 'UnusableRedisError';
  /** Whether only a change of settings can help. */
  readonly isFinal: boolean;

  constructor(message: string, isFinal: boolean) {
    super(message);
    this.isFinal = isFinal;
  }
}

/** Whether the error reply concerns the connection, and not only the command. */
export function endsConnection(reply: ErrorReply): boolean {
  return ENDS_CONNECTION.has(replyCode(reply));
}

/** Whether trying again is useless until somebody changes a setting of the gateway or of Redis. */
export function isFinal(error: Error): boolean {
  if (error instanceof UnusableRedisError) return error.isFinal;
  if (error instanceof ErrorReply) {
    return ['WRONGPASS', 'NOAUTH', 'NOPERM'].includes(replyCode(error)) || phraseOf(error)?.isFinal === true;
  }
  const { code = '' } = error as NodeJS.ErrnoException;
  return CERTIFICATE.test(code) || /^(EPROTO|ERR_SSL_|ERR_TLS_|CERT_)/.test(code);
}

/** A hint when connecting fails as it does if only one side speaks TLS: each waits for the other. */
export function hintAboutTls(url: string, error: unknown): string | undefined {
  const isLate = error instanceof DeadlineError || error instanceof ConnectionTimeoutError;
  if (url.startsWith('rediss:')) {
    return isLate ? 'if it speaks no TLS on this port, rediss:// has to be redis://' : undefined;
  }
  const isClosed =
    error instanceof SocketClosedUnexpectedlyError || (error as NodeJS.ErrnoException).code === 'ECONNRESET';
  return isClosed ? 'if it speaks TLS on this port, redis:// has to be rediss://' : undefined;
}

/** Whether Redis is loading its data, and only needs time. */
export function isLoading(error: Error): boolean {
  return error instanceof ErrorReply && replyCode(error) === 'LOADING';
}

/** What went wrong, in words, with the code of Redis or of the system in parentheses. */
export function redisReason(error: Error): string {
  if (error instanceof ErrorReply) return replyReason(error);
  if (error instanceof UnusableRedisError || error instanceof DeadlineError) return error.message;
  const { code } = error as NodeJS.ErrnoException;
  if (error instanceof ConnectionTimeoutError) return `the address does not answer (${error.message})`;
  if (error instanceof SocketClosedUnexpectedlyError) return `${CLOSED} (${error.message})`;
  if (code === undefined) return error.message;
  if (code === 'ECONNRESET') return `${CLOSED} (${code})`;
  const words = CERTIFICATE.test(code) ? UNTRUSTED : CODES.get(code);
  return words ? `${words} (${code})` : code;
}

const CLOSED = 'it closed the connection';
const UNTRUSTED =
  'its certificate is not trusted: NODE_EXTRA_CA_CERTS names the file of the authority that signed it';

function phraseOf({ message }: ErrorReply) {
  return PHRASES.find(({ pattern }) => pattern.test(message));
}

function replyReason(reply: ErrorReply): string {
  const code = replyCode(reply);
  // The arguments are left out: they may be a password or a token.
  const [message] = reply.message.split(', with args beginning with');
  const phrase = phraseOf(reply);
  if (phrase) return `${phrase.words} (${message})`;
  const words = REPLIES.get(code);
  if (!words) return message as string;
  // Only NOPERM's message says more than its code: which command, key or channel is forbidden.
  return code === 'NOPERM' ? `${words} (${message})` : `${words} (${code})`;
}

/** Before Redis 7 the error of a script contains the code of the command that failed in it. */
function replyCode({ message }: ErrorReply): string {
  const code = /^[A-Z]+/.exec(message)?.[0] ?? '';
  return code === 'ERR' ? (/: -([A-Z]+) /.exec(message)?.[1] ?? code) : code;
}
