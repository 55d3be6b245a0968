import { allRoutes } from '../../config/routes/complete.ts';
import type { Route } from '../../config/sections/services.ts';
import type { Asking } from '../../lib/auth/asking.ts';
import { announcedFields, askedMethod } from '../../lib/cors/preflight.ts';
import { ADMIN_PATH } from '../admin.ts';
import { codeOf } from '../errors/codeOf.ts';
import { REPLIES, type ReplyCode } from '../errors/replies/replies.ts';
import type { Port } from '../port.ts';
import { type AskedRequest, DryGateway, type Journey, type Visit } from './dryGateway.ts';
import type { Explanation, Outcome, StageExplained } from './explanation.ts';
import { type Arrival, arrivalOf, explainedCache, explainedUpstream, withoutTokens } from './forwarding.ts';
import { explainedRoute, explainedRoutes, splitNote } from './route.ts';
import { concerns, STAGE_FACTS } from './stageFacts.ts';
import { type Explained, explainedPolicies, explainedVariable, type PolicyExplained } from './values.ts';

/** Explains requests to one port, without asking any service. */
export class Explainer {
  readonly #explained: Explained;
  readonly #gateway: DryGateway;
  readonly #port: Port;

  private constructor(explained: Explained, gateway: DryGateway, port: Port) {
    this.#explained = explained;
    this.#gateway = gateway;
    this.#port = port;
  }

  static async create(explained: Explained, port: Port): Promise<Explainer> {
    return new Explainer(explained, await DryGateway.create(explained.settings, port), port);
  }

  /** One request at a time. */
  async explain(asked: AskedRequest): Promise<Explanation> {
    const journey = await this.#gateway.ask(asked);
    const { req, exchange, visit } = journey;
    const routes = this.#routesFor(asked, journey);
    const arrival =
      req && exchange && visit ? this.#arrival(journey, visit, routes.winner, asked.fields) : undefined;
    const policies = arrival ? this.#policiesFor(arrival) : [];
    const stages = arrival && visit ? this.#stagesOf(arrival, visit, policies) : [];
    const isCached = visit?.stages.some(({ stage, isThere }) => stage.name === 'cache' && isThere) ?? false;
    // Of a route that is split, nobody knows which service it is before it is known whom the request is from.
    const isChosen = arrival !== undefined && arrival.service.sides === undefined;
    return {
      request: {
        port: this.#port,
        method: asked.method,
        host: req?.headers.host ?? hostIn(asked.fields),
        target: withoutTokens(req?.originalUrl ?? asked.target, this.#explained.settings),
      },
      outcome: arrival ? forwarded(arrival) : this.#outcomeOf(journey, routes.winner),
      route: routes.winner && explainedRoute(this.#explained, routes.winner),
      beaten: routes.beaten,
      unmatched: routes.unmatched,
      stages,
      upstream: isChosen ? explainedUpstream(arrival, this.#explained) : undefined,
      cache: isChosen && isCached && !arrival.token.refusal ? explainedCache(arrival) : undefined,
    };
  }

  dispose(): void {
    this.#gateway.dispose();
  }

  #routesFor(asked: AskedRequest, { req, exchange }: Journey) {
    const isRouted = this.#port === 'external' && allRoutes(this.#explained.settings).length > 0;
    if (!isRouted || !req || !exchange || exchange.refusal)
      return { winner: undefined, beaten: [], unmatched: [] };
    const { method } = req;
    const request = exchange.preflight
      ? { method: askedMethod(req) ?? method, headers: req.headers, announced: announcedFields(req) }
      : req;
    return explainedRoutes(this.#explained, request, asked.target, exchange.route);
  }

  #outcomeOf({ exchange, response, req }: Journey, route: Route | undefined): Outcome {
    const field = (wanted: string) => response.fields.find(([name]) => name.toLowerCase() === wanted)?.[1];
    const { status, code } = response;
    if (code !== undefined && exchange?.service !== ADMIN_PATH) {
      const allow = status === 405 ? field('allow') : undefined;
      return {
        kind: 'refuse',
        status,
        code,
        reason: reasonFor(code, exchange?.failure),
        ...(allow !== undefined && { allow }),
      };
    }
    if (exchange?.preflight) return { kind: 'preflight', status };
    if (route?.action.kind === 'redirect')
      return {
        kind: 'redirect',
        status,
        location: withoutTokens(field('location') ?? '', this.#explained.settings),
      };
    if (route?.action.kind === 'respond') return { kind: 'respond', status };
    return { kind: 'own', reason: `the gateway serves ${req?.path ?? 'this'} itself` };
  }

  #arrival(
    { req, exchange }: Journey,
    { service }: Visit,
    route: Route | undefined,
    given: readonly string[],
  ): Arrival {
    if (!req || !exchange) throw new Error('a visit has a request');
    return arrivalOf({ req, exchange, service, route, port: this.#port, parts: this.#gateway.parts, given });
  }

  #policiesFor({ service, route }: Arrival): PolicyExplained[] {
    const own = this.#explained.settings.services.find(({ path }) => path === service.settings.path);
    return explainedPolicies(this.#explained, { service: own, route }, service.settings);
  }

  #stagesOf(
    arrival: Arrival,
    { stages, splits }: Visit,
    policies: readonly PolicyExplained[],
  ): StageExplained[] {
    return stages.map(({ stage: { name }, isThere }) => {
      const facts = STAGE_FACTS[name] ?? {};
      const own = policies.filter(({ path }) => concerns(facts, path, this.#port)).map(({ value }) => value);
      if (!isThere)
        return { name, isThere, note: facts.absence ?? 'the settings ask for none of it', values: own };
      const note = name === 'split' ? splitNote(arrival, splits) : noteOf(name, arrival);
      const variables = (facts.variables ?? []).map((field) => explainedVariable(field, this.#explained));
      return { name, isThere, ...(note !== undefined && { note }), values: [...own, ...variables] };
    });
  }
}

/** The host that a request names, also one that no parser reads. */
function hostIn(fields: readonly string[]): string {
  const at = fields.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === 'host');
  return at === -1 ? '' : (fields[at + 1] ?? '');
}

const ASKED: Readonly<Record<Asking, string>> = {
  required: 'a token is asked for',
  optional: 'a token is looked at where there is one',
  none: 'nobody is asked for a token',
  login: 'a login, which needs no token',
  logout: 'a logout, whose token is revoked',
};

function noteOf(stage: string, arrival: Arrival): string | undefined {
  return stage === 'auth' ? authNote(arrival) : undefined;
}

function authNote({ token: { asking, isThere, refusal } }: Arrival): string {
  const asked = ASKED[asking];
  if (isThere) return `${asked}: the request brings one, which is not checked here`;
  return refusal ? `${asked}: ${refusalText(refusal)}` : asked;
}

function forwarded({ token: { refusal } }: Arrival): Outcome {
  if (!refusal) return { kind: 'forward' };
  const code = codeOf(refusal);
  const reason = `auth refuses it: ${refusalText(refusal)}`;
  return { kind: 'forward', status: REPLIES[code].status, code, reason };
}

function refusalText(refusal: Error): string {
  const code = codeOf(refusal);
  return `${REPLIES[code].status} ${code}, ${refusal.message}`;
}

function reasonFor(code: string, failure: Error | undefined): string {
  const { detail } = REPLIES[code as ReplyCode];
  return failure?.message ? `${failure.message}. ${detail}` : detail;
}
