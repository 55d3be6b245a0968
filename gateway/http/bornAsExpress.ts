import type { ServerOptions } from 'node:http';
import type { Express } from 'express';
import { http } from '../../lib/http/nodeHttp.ts';
import { PacedRequest } from './contentPace.ts';

/** What Node makes the messages of one server of. */
export type MessageClasses = Required<Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'>>;

/**
 * Classes whose messages are born with the prototypes that Express gives them. It changes those of each request and
 * response otherwise, which costs more than its whole routing, and makes V8 slow with whatever reads them later.
 */
export function bornAsExpress(app: Express): MessageClasses {
  inherit(app.request, PacedRequest);
  return {
    IncomingMessage: bornWith(app.request, PacedRequest),
    ServerResponse: bornWith(app.response, http.ServerResponse),
  };
}

/** Gives `prototype`, which inherits from the parent of `Class`, what `Class` adds to that. */
function inherit(prototype: object, Class: new (...args: never[]) => object): void {
  const { constructor: _own, ...methods } = Object.getOwnPropertyDescriptors(Class.prototype);
  Object.defineProperties(prototype, methods);
}

/** Makes what `Parent` makes, with another prototype, which must inherit `Parent`'s. */
function bornWith<Parent extends abstract new (...args: never[]) => object>(
  prototype: object,
  Parent: Parent,
): Parent {
  function Born(...args: unknown[]): object {
    return Reflect.construct(Parent, args, Born);
  }
  Born.prototype = prototype;
  return Born as unknown as Parent;
}
