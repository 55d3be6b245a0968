import type { Request, Response } from 'express';
import { issuingRequests } from './issuePaths.ts';
import { logouts } from './revocation/logouts.ts';
import type { RevokingPath } from './revocation/revokePaths.ts';

/** Whether a request must have a token. `optional`: one that it has must be good. `none`: what it has is not looked at. */
export type AuthNeed = 'required' | 'optional' | 'none';

export interface AskingOptions {
  /** Default `required`. */
  readonly need?: AuthNeed;
  /** `issue`: every POST is as one to `issuePaths`. `revoke`: every request that may change something is a logout. */
  readonly token?: 'issue' | 'revoke' | undefined;
  /** Whole paths, POST only, that need no token and whose responses hand one out: login, registration. */
  readonly issuePaths?: readonly string[];
  /**
   * Paths that revoke the caller's token before the request is forwarded: logout. They are matched leniently, see
   * `revokingRequests`.
   */
  readonly revokePaths?: readonly RevokingPath[];
  /** See `LogoutOptions`. */
  readonly services?: readonly string[] | undefined;
}

/** What is asked of one request. A `login` needs no token; a `logout` needs one whatever else holds. */
export type Asking = AuthNeed | 'login' | 'logout';

/** Decides what is asked of a request: what is both a login and a logout is a logout. */
export function askingFor({
  need = 'required',
  token,
  issuePaths,
  revokePaths,
  services,
}: Readonly<AskingOptions>): (req: Request, res: Response) => Asking {
  const isIssuing = issuingRequests(issuePaths, token === 'issue');
  const isLogout = logouts({ paths: revokePaths, services, always: token === 'revoke' });
  return (req, res) => {
    if (isLogout(req, res)) return 'logout';
    return isIssuing(req) ? 'login' : need;
  };
}
