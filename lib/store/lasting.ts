/** What keys begin with that must never be lost: tokens that were logged out. */
export const LASTING_PREFIX = 'blacklist:';
/** The group that must never be lost: what was revoked otherwise. */
export const LASTING_GROUP = 'revocations';
