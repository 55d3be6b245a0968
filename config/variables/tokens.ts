import { HMAC_ALGORITHMS, PUBLIC_KEY_ALGORITHMS } from '../../lib/auth/tokens/algorithms.ts';
import { httpUrl } from '../kinds/addresses.ts';
import * as kinds from '../kinds/kinds.ts';
import { publicKey } from '../kinds/publicKey.ts';
import { maskAll } from '../report/problems.ts';
import { filePath, type VariableGroup } from './variable.ts';

export const tokens = {
  title: 'Tokens',
  page: 'tokens.md',
  rows: {
    jwtSecret: {
      name: 'JWT_SECRET',
      kind: kinds.text('a secret'),
      unset: 'required without public keys',
      description:
        'The secret that HS tokens are signed with, shared with the service that issues them. Not needed where `JWKS_URL` or `JWT_PUBLIC_KEY` is set.',
      mask: maskAll,
      file: 'JWT_SECRET_FILE',
    },
    jwtSecretFile: {
      name: 'JWT_SECRET_FILE',
      kind: filePath,
      unset: 'none',
      description: 'A file holding the secret instead, such as a Docker secret.',
    },
    jwksUrl: {
      name: 'JWKS_URL',
      kind: httpUrl,
      unset: 'none',
      description:
        'Where the issuer of tokens publishes its public keys, as a JSON Web Key Set. Read at the start, every five minutes, and for an unknown `kid` at most once in 30 s; while it is down the last keys serve on.',
    },
    jwtPublicKey: {
      name: 'JWT_PUBLIC_KEY',
      kind: publicKey,
      unset: 'none',
      description: 'The one public key of an issuer that publishes none, instead of `JWKS_URL`.',
      mask: maskAll,
      file: 'JWT_PUBLIC_KEY_FILE',
    },
    jwtPublicKeyFile: {
      name: 'JWT_PUBLIC_KEY_FILE',
      kind: filePath,
      unset: 'none',
      description: 'A PEM file holding that key or its certificate.',
    },
    jwtAlgorithms: {
      name: 'JWT_ALGORITHMS',
      kind: kinds.choices(...HMAC_ALGORITHMS, ...PUBLIC_KEY_ALGORITHMS),
      unset: '`HS256` with a secret; `RS256`, `ES256` and `EdDSA` with public keys',
      description:
        'Signature algorithms accepted in tokens; all others, `none` among them, are refused. HS algorithms are only ever checked with the secret, all others only with public keys.',
    },
    jwtIssuer: {
      name: 'JWT_ISSUER',
      kind: kinds.text('the `iss` of tokens'),
      unset: 'any',
      description: 'Who must have issued a token, by its `iss`.',
    },
    jwtAudience: {
      name: 'JWT_AUDIENCE',
      kind: kinds.list('a comma-separated list of audiences'),
      unset: 'any',
      description: 'For whom a token must be: one of these must be in its `aud`.',
    },
    jwtSubjectClaims: {
      name: 'JWT_SUBJECT_CLAIM',
      kind: kinds.list('a comma-separated list of claims'),
      default: 'sub,uuid,user_id',
      description:
        'Claims that say who is calling: the first that a token has counts, and must be a string of at most 1,024 characters or a whole number up to 2^53.',
    },
    jwtRequireExpiry: {
      name: 'JWT_REQUIRE_EXPIRY',
      kind: kinds.flag,
      default: 'true',
      description: 'Refuses tokens without `exp`, which would be good for ever.',
    },
    jwtClockToleranceMs: {
      name: 'JWT_CLOCK_TOLERANCE',
      kind: kinds.durationOrZero,
      default: '5s',
      description: "By how much the issuer's clock may differ, when `exp` and `nbf` are judged.",
    },
    jwtMaxLifetimeMs: {
      name: 'JWT_MAX_LIFETIME',
      kind: kinds.longDuration,
      unset: 'any',
      description:
        'Refuses tokens that live longer from `iat` to `exp`, or do not say. It is also how long a revocation by `jti` or subject is kept; without it, for good.',
    },
  },
} as const satisfies VariableGroup;
