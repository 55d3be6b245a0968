import { z } from 'zod';
import type { FieldRules } from '../../../lib/headers/fieldEdit.ts';
import { isFieldValue, isToken } from '../../../lib/http1/grammar.ts';
import { OBJECT, offOr, policy } from '../policy.ts';
import { ownedInRequests, ownedInResponses } from './gatewayFields.ts';

export interface HeaderSettings {
  /** What is changed about the fields that the service gets; undefined: nothing. */
  readonly requestRules: FieldRules | undefined;
  /** The same for what clients get. */
  readonly responseRules: FieldRules | undefined;
}

/** Lines of one name. */
interface Lines {
  /** As it is written. */
  readonly name: string;
  readonly values: readonly string[];
}

/** By the name in lower case. */
type Fields = Readonly<Record<string, Lines>>;

interface Direction {
  readonly set?: Fields | undefined;
  readonly add?: Fields | undefined;
  readonly remove?: readonly string[] | undefined;
}

const VALUE = { error: 'a text, a number, true, false, or a list of them' };
const LIST = { error: 'a list of field names, such as [Server]' };

/** Why no rule may be about a field, as the end of a sentence about it. Undefined: one may. */
type WhyNot = (name: string) => string | undefined;

const single = z.union([z.string(), z.number(), z.boolean()], VALUE);

function fields(whyNot: WhyNot) {
  return z
    .record(z.string(), z.union([single, z.array(single).min(1, VALUE)], VALUE), {
      error: 'an object of fields and their values',
    })
    .transform((record, context): Fields => {
      const named: Record<string, Lines> = {};
      for (const [name, given] of Object.entries(record)) {
        const values = [given].flat().map(String);
        const lower = name.toLowerCase();
        const ending =
          whyNot(name) ??
          whyNotAgain(Object.hasOwn(named, lower) ? named[lower] : undefined, name) ??
          whyNoValue(values);
        if (ending) context.addIssue({ code: 'custom', path: [name], params: { ending } });
        else named[lower] = { name, values };
      }
      return named;
    });
}

function names(whyNot: WhyNot) {
  return z.array(z.string(LIST), LIST).transform((list, context): readonly string[] => {
    for (const [index, name] of list.entries()) {
      const ending = whyNot(name);
      if (ending)
        context.addIssue({ code: 'custom', path: [index], params: { ending: `(${name}) ${ending}` } });
    }
    return list.map((name) => name.toLowerCase());
  });
}

function direction(whyNot: WhyNot) {
  return z
    .strictObject(
      {
        set: fields(whyNot).optional().describe('Fields in place of those of their name.'),
        add: fields(whyNot).optional().describe('Fields beside those of their name.'),
        remove: names(whyNot).optional().describe('Names of fields that do not pass.'),
      },
      OBJECT,
    )
    .superRefine(({ set = {}, add = {}, remove = [] }, context) => {
      for (const [index, name] of remove.entries()) {
        if (set[name] === undefined && add[name] === undefined) continue;
        const ending = `(${name}) is given a value as well: expected one of the two; set removes others of its name`;
        context.addIssue({ code: 'custom', path: ['remove', index], params: { ending } });
      }
    });
}

export const headers = policy({
  schema: offOr({
    request: direction(whyNotIn(ownedInRequests)).optional().describe('What the service gets.'),
    response: direction(whyNotIn(ownedInResponses)).optional().describe('What clients get.'),
  }).describe('Fields that are changed on their way.'),
  settings: (said): HeaderSettings => {
    if (said === undefined || said === 'off' || said === false)
      return { requestRules: undefined, responseRules: undefined };
    return { requestRules: rulesOf(said.request), responseRules: rulesOf(said.response) };
  },
  inherit: (inner, outer) => {
    if (typeof inner !== 'object' || typeof outer !== 'object') return inner;
    return {
      request: merged(inner.request, outer.request),
      response: merged(inner.response, outer.response),
    };
  },
  tightens: (own, outer) =>
    !takesAway(outer.requestRules, own.requestRules) || !takesAway(outer.responseRules, own.responseRules),
});

/** Maps merge and lists replace; what is removed further in is not given a value further out. */
function merged(inner: Direction | undefined, outer: Direction | undefined): Direction | undefined {
  if (inner === undefined || outer === undefined) return inner ?? outer;
  const { remove = [] } = inner;
  const kept = (given: Fields = {}) =>
    Object.fromEntries(Object.entries(given).filter(([name]) => !remove.includes(name)));
  return {
    set: { ...kept(outer.set), ...inner.set },
    add: { ...kept(outer.add), ...inner.add },
    remove: inner.remove ?? outer.remove,
  };
}

function rulesOf(said: Direction | undefined): FieldRules | undefined {
  const { set = {}, add = {}, remove = [] } = said ?? {};
  const rules = { set: linesOf(set), add: linesOf(add), remove };
  return rules.set.length + rules.add.length + remove.length === 0 ? undefined : rules;
}

function linesOf(given: Fields): string[] {
  return Object.values(given).flatMap(({ name, values }) => values.flatMap((value) => [name, value]));
}

/** Whether `rules` take away all that `others` take away. */
function takesAway(rules: FieldRules | undefined, others: FieldRules | undefined): boolean {
  return (others?.remove ?? []).every((name) => rules?.remove.includes(name));
}

function whyNotIn(owned: (lowerCaseName: string) => string | undefined): WhyNot {
  return (name) => {
    if (!isToken(name)) return 'is no name of a field: expected one of letters, digits and hyphens';
    const instead = owned(name.toLowerCase());
    if (instead === undefined) return undefined;
    const way = instead === '' ? 'leave it out' : `use ${instead}`;
    return `is a field that the gateway sets itself, or must know: ${way}`;
  };
}

function whyNotAgain(earlier: Lines | undefined, name: string): string | undefined {
  return (
    earlier && `is there as ${earlier.name} already: expected ${name} once, with a list of values if need be`
  );
}

/** A value may be a secret, and is not shown. */
function whyNoValue(values: readonly string[]): string | undefined {
  const isGood = values.every((value) => isFieldValue(value) && isAscii(value) && value === value.trim());
  return isGood
    ? undefined
    : 'has a value that no field can have: expected ASCII characters without line ends, and no blanks around it';
}

function isAscii(text: string): boolean {
  return Buffer.byteLength(text) === text.length;
}
