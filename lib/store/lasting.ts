/** Prefix of the keys that must never be lost: they mark tokens that were logged out. */
export const LASTING_PREFIX = 'blacklist:';
/** A group that must never be lost: revocations by operators. */
export const LASTING_GROUP = 'revocations';
/** Another: API keys, and which of them were revoked. */
export const API_KEYS_GROUP = 'apikeys';
/** All groups that must never be lost. Nothing in them is ever overwritten, so that copies can be merged in any order. */
export const LASTING_GROUPS = [LASTING_GROUP, API_KEYS_GROUP] as const;
