import type { GatewayFileInput } from './schema.ts';

/**
 * Types a `gateway.config.ts`: `export default defineGateway({ services: [...] })`. It gives back what it is given, and
 * a plain `export default` does as well.
 */
export function defineGateway(definition: GatewayFileInput): GatewayFileInput {
  return definition;
}
