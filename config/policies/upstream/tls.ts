import { isIP } from 'node:net';
import type { TlsVersion } from '../../../lib/tls/clientTerms.ts';
import { host } from '../../kinds/addresses.ts';
import { choice, type Kind, kind } from '../../kinds/kinds.ts';
import { offOr, policy } from '../policy.ts';

export interface TlsSettings {
  /** How connections to the replicas are opened; undefined: as their addresses say, and over TLS as Node does. */
  readonly tls: UpstreamTls | undefined;
}

/** Terms of a service's TLS connections. All of its replicas speak TLS, whatever a registry says. */
export interface UpstreamTls {
  /** The files, by what they hold; one that is not there is not needed. */
  readonly files: Readonly<Partial<Record<TlsPart, string>>>;
  readonly serverName: string | undefined;
  readonly minVersion: TlsVersion;
}

/** What a file may hold. */
export const TLS_PARTS = ['ca', 'cert', 'key'] as const;
export type TlsPart = (typeof TLS_PARTS)[number];

const DEFAULT_MIN_VERSION = 'TLSv1.2';

const file: Kind<string> = kind('the path of a file', (given) => (given.trim() === '' ? undefined : given));

const serverName: Kind<string> = kind('a host name, such as budgeting.internal', (given) =>
  host.schema.safeParse(given).success && isIP(given) === 0 ? given : undefined,
);

export const tls = policy({
  schema: offOr({
    ca: file.schema
      .optional()
      .describe(
        'A PEM file with the CAs whose certificates are trusted, and no others. Default: those of Node.',
      ),
    cert: file.schema
      .optional()
      .describe("A PEM file with the gateway's own certificate for the service. Needs key."),
    key: file.schema.optional().describe('A PEM file with the key of cert, without a passphrase.'),
    serverName: serverName.schema
      .optional()
      .describe('The name that is sent (SNI) and that the certificate must have. Default: the host asked.'),
    minVersion: choice('TLSv1.2', 'TLSv1.3')
      .schema.optional()
      .describe(`The oldest version that is spoken, TLSv1.2 or TLSv1.3. Default: ${DEFAULT_MIN_VERSION}.`),
  }).describe(
    'How the replicas are asked over TLS. Files are renewed in place. off: as their addresses say.',
  ),
  settings: (said): TlsSettings => {
    if (said === undefined || said === 'off' || said === false) return { tls: undefined };
    const { serverName: name, minVersion = DEFAULT_MIN_VERSION } = said;
    const files = Object.fromEntries(
      TLS_PARTS.flatMap((part) => (said[part] === undefined ? [] : [[part, said[part]]])),
    );
    return { tls: { files, serverName: name, minVersion } };
  },
});
