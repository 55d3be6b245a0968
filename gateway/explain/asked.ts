import { isIP } from 'node:net';
import { FlagError } from '../../config/commandLine/flags.ts';
import type { AskedRequest } from './dryGateway.ts';

const METHOD = /^[\w!#$%&'*+.^`|~-]+$/;
const FIELD = /^([\w!#$%&'*+.^`|~-]+):[ \t]*(.*)$/s;
/** The host of a URL is all up to its path, query or fragment. */
const URL_PARTS = /^(https?):\/\/([^/?#]+)([^#]*)/i;

/**
 * The request that a command line names: `[METHOD] URL`, with its fields as `Name: value`. The path goes on as it is written;
 * only what is not ASCII is encoded, as browsers do.
 *
 * @param address of the client
 * @throws {FlagError}
 */
export function readRequest(
  words: readonly string[],
  headers: readonly string[],
  address?: string,
): AskedRequest {
  if (address !== undefined && isIP(address) === 0)
    throw new FlagError(`--from must be an IP address, got ${JSON.stringify(address)}`);
  const [first = '', second, ...more] = words;
  const [method, url] = second === undefined ? ['GET', first] : [first, second];
  if (url === '' || more.length > 0)
    throw new FlagError(
      `expected a method and a URL, such as GET https://host/path, got ${words.length} words`,
    );
  if (!METHOD.test(method))
    throw new FlagError(`expected a method such as GET, got ${JSON.stringify(method)}`);
  const [, scheme = '', host = '', rest = ''] = URL_PARTS.exec(url) ?? [];
  if (host === '')
    throw new FlagError(`expected a URL such as https://host/path, got ${JSON.stringify(url)}`);
  if (host.includes('@')) throw new FlagError('expected a URL without user and password');
  const target = encoded(rest.startsWith('/') ? rest : `/${rest}`);
  if (!/^[\x21-\x7e]+$/.test(host + target))
    throw new FlagError('expected a URL without blanks and control characters: a blank is %20');
  const fields = headers.flatMap(readField);
  const hasHost = fields.some((name, index) => index % 2 === 0 && name.toLowerCase() === 'host');
  const isSecure = scheme.toLowerCase() === 'https';
  return { method, target, fields: hasHost ? fields : ['Host', host, ...fields], isSecure, address };
}

/** Its value may be a secret: an error shows none of it. */
function readField(text: string, index: number): [name: string, value: string] {
  const [, name = '', value = ''] = FIELD.exec(text) ?? [];
  if (name === '' || /[\r\n\0]/.test(value))
    throw new FlagError(`expected -H 'Name: value' on one line, and number ${index + 1} is something else`);
  return [name, value];
}

function encoded(target: string): string {
  return target.replace(/\P{ASCII}+/gu, encodeURIComponent);
}
