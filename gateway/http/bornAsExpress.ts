import type { ServerOptions } from 'node:http';
import type { Express } from 'express';
import { http } from '../../lib/http/nodeHttp.ts';
import { PacedRequest } from './contentPace.ts';

/** The classes of which Node makes the requests and responses of a server. */
export type MessageClasses = Required<Pick<ServerOptions, 'IncomingMessage' | 'ServerResponse'>>;

/**
 * Classes whose objects have the prototypes of Express from the beginning. Otherwise Express changes the prototype of each
 * request and response, which costs more than its whole routing and makes all later property reads slow in V8.
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

/** A class like `Parent` whose objects have another prototype, which must inherit from `Parent`'s. */
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
