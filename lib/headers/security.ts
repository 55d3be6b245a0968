/** What browsers are told for the safety of a response. Undefined: nothing. */
export interface SecurityRules {
  /** `Strict-Transport-Security` (RFC 6797), for responses over TLS only. */
  readonly hsts: string | undefined;
  /** `X-Content-Type-Options: nosniff`. */
  readonly nosniff: boolean;
  /** `X-Frame-Options`. */
  readonly frame: 'DENY' | 'SAMEORIGIN' | undefined;
  readonly referrerPolicy: string | undefined;
  /** `Content-Security-Policy`. */
  readonly csp: string | undefined;
  readonly permissionsPolicy: string | undefined;
}

/** The rules as field lines: name, value, name, value. */
export function securityFields(rules: SecurityRules, isSecure: boolean): string[] {
  const { hsts, nosniff, frame, referrerPolicy, csp, permissionsPolicy } = rules;
  const fields = [
    ['Strict-Transport-Security', isSecure ? hsts : undefined],
    ['X-Content-Type-Options', nosniff ? 'nosniff' : undefined],
    ['X-Frame-Options', frame],
    ['Referrer-Policy', referrerPolicy],
    ['Content-Security-Policy', csp],
    ['Permissions-Policy', permissionsPolicy],
  ] as const;
  return fields.flatMap(([name, value]) => (value === undefined ? [] : [name, value]));
}
