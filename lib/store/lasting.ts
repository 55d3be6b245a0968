/** Prefix of the keys that must never be lost: they mark tokens that were logged out. */
export const LASTING_PREFIX = 'blacklist:';
/** The group that must never be lost: revocations by operators. */
export const LASTING_GROUP = 'revocations';
