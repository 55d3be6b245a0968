import { addressList } from '../kinds/addresses.ts';
import * as kinds from '../kinds/kinds.ts';
import { filePath, type VariableGroup } from './variable.ts';

export const tls = {
  title: 'TLS',
  page: 'tls.md',
  rows: {
    tlsCertFile: {
      name: 'TLS_CERT_FILE',
      kind: filePath,
      unset: 'plain HTTP',
      description:
        'A PEM file with the certificate of the port for users, and behind it those that lead to a root: the port then speaks TLS only. Renewed with the file, without a restart.',
    },
    tlsKeyFile: {
      name: 'TLS_KEY_FILE',
      kind: filePath,
      unset: 'plain HTTP',
      description: 'A PEM file with the key of that certificate, without a passphrase.',
    },
    httpPort: {
      name: 'HTTP_PORT',
      kind: kinds.port(0),
      unset: 'none',
      description:
        'A port for plain HTTP beside one for users that speaks TLS: it sends every request to the same place over `https://` (308), and forwards none. At `EXTERNAL_HOST`.',
    },
    httpsPublicPort: {
      name: 'HTTPS_PUBLIC_PORT',
      kind: kinds.port(1),
      unset: '`EXTERNAL_PORT`',
      description:
        'Where `HTTP_PORT` sends clients: the port at which they find that for users, such as 443 where a container maps it.',
    },
  },
} as const satisfies VariableGroup;

export const proxies = {
  title: 'Proxies',
  page: 'loadbalancers.md#what-a-trusted-proxy-may-say',
  rows: {
    trustedProxies: {
      name: 'TRUSTED_PROXIES',
      kind: addressList,
      default: '',
      description:
        'Peers whose `X-Forwarded-*`, `Forwarded` and `X-Request-Id` fields are believed; from all others they are replaced. Empty: nobody.',
    },
    viaName: {
      name: 'VIA_NAME',
      kind: kinds.token,
      default: 'faf-cab-gateway',
      description: 'What the gateway calls itself in `Via` on requests to services.',
    },
    viaOnResponses: {
      name: 'VIA_ON_RESPONSES',
      kind: kinds.flag,
      default: 'false',
      description: 'Adds `Via` to responses that come from services too.',
    },
  },
} as const satisfies VariableGroup;
