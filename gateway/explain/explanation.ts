/** What becomes of a request, for people and for `--json`. */
export interface Explanation {
  readonly request: {
    readonly port: string;
    readonly method: string;
    readonly host: string;
    /** With `...` in place of tokens in its query. */
    readonly target: string;
  };
  readonly outcome: Outcome;
  readonly route: RouteExplained | undefined;
  /** Other routes that the request matches, in the order in which they would win. */
  readonly beaten: readonly RouteReason[];
  /** Routes of its host and path that it does not match. */
  readonly unmatched: readonly RouteReason[];
  /** In the order in which they run. Empty where the request comes to no chain. */
  readonly stages: readonly StageExplained[];
  /** Undefined as well where a route is split and the request does not show whom it is from. */
  readonly upstream: UpstreamExplained | undefined;
  readonly cache: CacheExplained | undefined;
}

/**
 * `forward`: a service is asked unless a stage responds. `respond`, `redirect`: a route says so. `preflight`: `cors` responds.
 * `own`: a path of the gateway.
 */
export interface Outcome {
  readonly kind: 'forward' | 'respond' | 'redirect' | 'preflight' | 'refuse' | 'own';
  /** Of what the gateway responds by itself; with `forward`, where auth refuses the request as it is. */
  readonly status?: number;
  /** Of a refusal, as in its reply. */
  readonly code?: string;
  readonly reason?: string;
  /** Of a redirect. */
  readonly location?: string;
  /** Of a 405. */
  readonly allow?: string;
}

export interface RouteExplained {
  readonly name: string;
  readonly path: string;
  readonly host?: string;
  readonly methods?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly priority?: number;
  readonly spelling: 'exact' | 'any';
  /** Where it stands in the file; not there for all the rest of a service. */
  readonly place?: string;
}

export interface RouteReason {
  readonly name: string;
  /** Why another comes first, or why this one is not for the request. */
  readonly reason: string;
}

export interface StageExplained {
  readonly name: string;
  readonly isThere: boolean;
  /** Why it is not there, or what it does with this request. */
  readonly note?: string;
  readonly values: readonly ValueExplained[];
}

export interface ValueExplained {
  /** `timeouts.request`, or the name of a variable. */
  readonly name: string;
  readonly value: string;
  readonly from: Origin;
}

/** Where a value comes from. `default`: of the variable, if one is named, else of the policy. */
export interface Origin {
  readonly level: 'route' | 'service' | 'defaults' | 'environment' | '.env' | 'file' | 'default';
  /** `gateway.yaml:12:5`. */
  readonly place?: string;
  readonly variable?: string;
  /** Levels further out that say a part of it as well. */
  readonly and?: readonly Origin[];
}

export interface UpstreamExplained {
  readonly service: string;
  /** Path and query as the service gets them, with the path of its address. */
  readonly target: string;
  /** What is cut off the front of the path. */
  readonly cut: string;
  readonly rewrite?: string;
  readonly replicas: readonly string[];
  /** Which of them it goes to. */
  readonly choice: ChoiceExplained;
  /** Who says which replicas there are, while it does; undefined: only those. */
  readonly registry?: string;
  readonly fieldsAdded: readonly string[];
  readonly fieldsRemoved: readonly string[];
}

export interface ChoiceExplained {
  /** Undefined: that depends on what is under way, on a registry, or on what is not known of the client. */
  readonly replica?: string;
  readonly reason: string;
}

export interface CacheExplained {
  /** `lookup`: it may be served from the cache, and its response be kept. */
  readonly handling: 'lookup' | 'method' | 'unsafe' | 'bypass';
  /** What the key is made of, where there is a lookup. */
  readonly key?: {
    readonly service: string;
    readonly authority: string;
    /** As the service knows it, with its path in front. */
    readonly target: string;
    /** Undefined where the service has no routes. */
    readonly route?: string;
    /** For whom a stored response may be. */
    readonly audiences: readonly string[];
  };
}
