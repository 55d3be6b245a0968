import type { Settings } from '../../config/config.ts';
import { ApiKeys } from '../../lib/apikeys/apiKeys.ts';
import { KeyRing } from '../../lib/apikeys/keyRing.ts';
import { LastUsed } from '../../lib/apikeys/lastUsed.ts';
import { KeysUnderWay } from '../../lib/apikeys/underWay.ts';
import { Authenticator } from '../../lib/auth/authenticator.ts';
import { Revocations } from '../../lib/auth/revocation/revocations.ts';
import { TokenRegistry } from '../../lib/auth/revocation/tokenRegistry.ts';
import { TokensUnderWay } from '../../lib/auth/revocation/tokensUnderWay.ts';
import type { FindKeys } from '../../lib/auth/tokens/findKeys.ts';
import type { JwksOptions } from '../../lib/auth/tokens/jwks.ts';
import { pemKey } from '../../lib/auth/tokens/pemKey.ts';
import { createVerifier, type Verify } from '../../lib/auth/tokens/verifier.ts';
import type { Clock } from '../../lib/clock/clock.ts';
import type { StoreUnavailableError } from '../../lib/store/store.ts';
import { unreadableKeyLog } from '../logs/storeLog.ts';
import type { ApiKeyParts, Parts } from './parts.ts';

type AuthParts = Pick<
  Parts,
  'verify' | 'authenticator' | 'revocations' | 'tokensUnderWay' | 'apiKeys' | 'stopKeys'
>;

/** Makes everything that authentication needs, from keys to revocations. */
export async function createAuth(
  parts: Pick<Parts, 'settings' | 'stores' | 'clock' | 'logger' | 'metrics' | 'logStoreError'>,
): Promise<AuthParts> {
  const { settings, stores, clock, logger, logStoreError } = parts;
  const store = stores.tokens;
  const { findKeys, stopKeys } = await publicKeys(settings, {
    onKeysChanged: () => {
      logger.info('JWT keys have changed: every token is verified again');
      authenticator.forgetVerified();
    },
    onError: (error) => logger.warn('JWT keys cannot be fetched', { error }),
    clock,
  });
  const verify = verifierFor(settings, findKeys, clock);
  const revocations = new Revocations({
    store,
    maxLifetimeMs: settings.jwtMaxLifetimeMs,
    clockToleranceMs: settings.jwtClockToleranceMs,
    clock,
  });
  const registry = new TokenRegistry({ store, revocations, activeTtlMs: settings.authCacheTtlMs, clock });
  const authenticator = new Authenticator({
    verify,
    registry,
    requireActive: settings.authRequireActiveToken,
    clockToleranceMs: settings.jwtClockToleranceMs,
    onStoreFailure: settings.authStoreFailure,
    onStoreError: logStoreError,
    maxRememberedBytes: settings.memory.rememberedBytes,
    clock,
  });
  const tokensUnderWay = new TokensUnderWay({ registry, clock });
  const apiKeys = createApiKeys(parts);
  return { verify, authenticator, revocations, tokensUnderWay, apiKeys, stopKeys };
}

function verifierFor(settings: Settings, findKeys: FindKeys | undefined, clock: Clock): Verify {
  return createVerifier({
    secret: settings.jwtSecret,
    findKeys,
    algorithms: settings.jwtAlgorithms,
    subjectClaims: settings.jwtSubjectClaims,
    issuer: settings.jwtIssuer,
    audience: settings.jwtAudience,
    clockToleranceMs: settings.jwtClockToleranceMs,
    maxLifetimeMs: settings.jwtMaxLifetimeMs,
    requireExpiry: settings.jwtRequireExpiry,
    clock,
  });
}

function createApiKeys({
  stores,
  clock,
  logger,
  metrics,
  logStoreError,
}: Pick<Parts, 'stores' | 'clock' | 'logger' | 'metrics' | 'logStoreError'>): ApiKeyParts {
  const store = stores.tokens;
  const logUnreadable = unreadableKeyLog(logger);
  const onUnreadable = (problem: StoreUnavailableError) => {
    metrics.apiKeysUnreadable.count();
    logUnreadable(problem);
  };
  const keys = new ApiKeys({ store, clock, onUnreadable });
  return {
    keys,
    ring: new KeyRing({ keys, store, clock }),
    lastUsed: new LastUsed({ store, clock, onError: logStoreError }),
    underWay: new KeysUnderWay({ keys, clock }),
  };
}

/** The public keys, from the URL or the PEM of the settings; none when neither is set. */
async function publicKeys(
  { jwksUrl, jwtPublicKey, jwtAlgorithms }: Settings,
  options: Omit<JwksOptions, 'url'>,
): Promise<{ readonly findKeys: FindKeys | undefined; readonly stopKeys: () => void }> {
  if (jwksUrl !== undefined) {
    const { Jwks } = await import('../../lib/auth/tokens/jwks.ts');
    const jwks = new Jwks({ url: jwksUrl, ...options });
    return { findKeys: jwks.find, stopKeys: () => jwks.stop() };
  }
  const findKeys =
    jwtPublicKey === undefined ? undefined : pemKey({ pem: jwtPublicKey, algorithms: jwtAlgorithms });
  return { findKeys, stopKeys: () => {} };
}
