import { keyPair } from '../../lib/tls/keyPair.ts';
import { quote, reasonOf } from '../report/problems.ts';
import type { ReadFile } from '../values.ts';
import type { Values } from '../variables.ts';

/** Why the external port cannot speak TLS; empty when it can, or need not. */
export function tlsProblems({ tlsCertFile, tlsKeyFile }: Values, readFile: ReadFile): string[] {
  if (tlsCertFile === undefined || tlsKeyFile === undefined) {
    if (tlsCertFile === tlsKeyFile) return [];
    const [given, missing] = tlsKeyFile === undefined ? ['CERT', 'KEY'] : ['KEY', 'CERT'];
    return [`TLS_${given}_FILE is set and TLS_${missing}_FILE is not: expected both or neither`];
  }
  const cert = textOf('TLS_CERT_FILE', tlsCertFile, readFile);
  const key = textOf('TLS_KEY_FILE', tlsKeyFile, readFile);
  const unreadable = [cert, key].flatMap((file) => ('problem' in file ? file.problem : []));
  if ('problem' in cert || 'problem' in key) return unreadable;
  try {
    keyPair(cert.text, key.text);
    return [];
  } catch (error) {
    const files = `TLS_CERT_FILE ${quote(tlsCertFile)} and TLS_KEY_FILE ${quote(tlsKeyFile)}`;
    return [`${files} cannot be used: ${(error as Error).message}`];
  }
}

function textOf(
  name: string,
  path: string,
  readFile: ReadFile,
): { readonly text: string } | { readonly problem: string } {
  try {
    return { text: readFile(path) };
  } catch (error) {
    return { problem: `${name} is ${quote(path)}: expected a readable file (${reasonOf(error)})` };
  }
}
